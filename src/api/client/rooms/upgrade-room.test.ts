import { afterAll, beforeAll, expect, test } from 'vitest'
import { emptyOverlay } from '../../../core/push-rules/rule-schema.ts'
import { pushRulesOf } from '../../../services/users/settings/push-rules.ts'
import { storePushRuleOverlay } from '../../../storage/push/push-rules.ts'
import { findAccountData, storeAccountData } from '../../../storage/users/account-data.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice')
  bob = await api.client('bob')
})
afterAll(() => api.close())

async function upgrade(who: TestClient, roomId: string, body: object): Promise<string> {
  return (await who.ok('POST', `/rooms/${roomId}/upgrade`, body)).replacement_room
}

test('a room is replaced, with its state, bans, alias and place in the directory', async () => {
  const options = { preset: 'public_chat', visibility: 'public', room_alias_name: 'tea', room_version: '10' }
  const old = await alice.createRoom({
    ...options,
    name: 'Tea',
    power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 50 } },
  })
  await alice.ok('POST', `/rooms/${old}/ban`, { user_id: '@mallory:hearth.test', reason: 'spam' })
  const replacement = (await upgrade(alice, old, { new_version: '11' })) as never
  const state = await api.state(replacement)
  expect(state['m.room.create|']).toMatchObject({
    room_version: '11',
    predecessor: { room_id: old, event_id: expect.any(String) },
  })
  expect(state['m.room.name|']).toEqual({ name: 'Tea' })
  expect(state['m.room.join_rules|']).toEqual({ join_rule: 'public' })
  expect(state['m.room.member|@mallory:hearth.test']).toEqual({ membership: 'ban', reason: 'spam' })
  expect(state['m.room.canonical_alias|']).toEqual({ alias: '#tea:hearth.test' })
  expect(state['m.room.power_levels|']?.users).toEqual({ [alice.userId]: 100, [bob.userId]: 50 })
  expect((await alice.ok('GET', '/directory/room/%23tea:hearth.test')).room_id).toBe(replacement)
  expect(await alice.ok('GET', `/directory/list/room/${replacement}`)).toEqual({ visibility: 'public' })
  expect(await alice.ok('GET', `/directory/list/room/${old}`)).toEqual({ visibility: 'private' })
  const before = await api.state(old)
  expect(before['m.room.tombstone|']).toMatchObject({ replacement_room: replacement })
  expect(before['m.room.power_levels|']).toMatchObject({ events_default: 50, invite: 50 })
  expect(before['m.room.canonical_alias|']).toEqual({})
})

test('in version 12 the upgrader and additional creators are creators and not in the power levels', async () => {
  const users = { [alice.userId]: 100, [bob.userId]: 100, '@carol:hearth.test': 50 }
  const old = await alice.createRoom({ room_version: '11', power_level_content_override: { users } })
  const replacement = (await upgrade(alice, old, { new_version: '12', additional_creators: [bob.userId] })) as never
  const state = await api.state(replacement)
  expect(state['m.room.create|']).toMatchObject({ predecessor: { room_id: old }, additional_creators: [bob.userId] })
  expect(state['m.room.create|']?.predecessor as object).not.toHaveProperty('event_id')
  expect(state['m.room.power_levels|']?.users).toEqual({ '@carol:hearth.test': 50 })
  const back = (await upgrade(alice, replacement, { new_version: '11' })) as never
  expect((await api.state(back))['m.room.power_levels|']?.users).toMatchObject({ [bob.userId]: expect.any(Number) })
})

test('a user without permission changes nothing', async () => {
  const old = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/rooms/${old}/join`)
  const counts = await api.counts()
  expect(await bob.ask('POST', `/rooms/${old}/upgrade`, { new_version: '11' })).toMatchObject({ status: 403 })
  const unknown = await alice.ask('POST', `/rooms/${old}/upgrade`, { new_version: '1.5' })
  expect(unknown).toMatchObject({ status: 400, body: { errcode: 'M_UNSUPPORTED_ROOM_VERSION' } })
  expect(await alice.ask('POST', `/rooms/${old}/upgrade`, {})).toMatchObject({ status: 400 })
  expect(await api.counts()).toEqual(counts)
})

test('tags, push rules and direct chats come along when somebody joins the new room', async () => {
  const old = await alice.createRoom({ preset: 'public_chat', room_version: '10' })
  await bob.ok('POST', `/rooms/${old}/join`)
  for (const { userId } of [alice, bob]) {
    await api.app.database.write(async (tx) => {
      const rule = { rule_id: old, enabled: true, actions: [] }
      await storePushRuleOverlay(tx, userId, { ...emptyOverlay, custom: { ...emptyOverlay.custom, room: [rule] } })
      await storeAccountData(tx, userId, { roomId: old, type: 'm.tag', content: '{"tags":{"m.favourite":{}}}' })
      await storeAccountData(tx, userId, { roomId: '', type: 'm.direct', content: JSON.stringify({ '@x:y': [old] }) })
    })
  }
  const replacement = (await upgrade(alice, old, { new_version: '11' })) as never
  await bob.ok('POST', `/rooms/${replacement}/join`)
  for (const { userId } of [alice, bob]) {
    const rules = await pushRulesOf(api.app, userId)
    expect(rules.room.map(({ rule_id }) => rule_id)).toEqual([old, replacement])
    const tags = await findAccountData(api.app.database, userId, { roomId: replacement, type: 'm.tag' })
    expect(tags).toBe('{"tags":{"m.favourite":{}}}')
    const direct = await findAccountData(api.app.database, userId, { roomId: '', type: 'm.direct' })
    expect(JSON.parse(direct!)).toEqual({ '@x:y': [old, replacement] })
  }
})
