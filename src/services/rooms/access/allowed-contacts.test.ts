import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { createRoom } from '../../membership/create-room.ts'
import { sendStateLocally } from '../sending/send-state-locally.ts'
import { requireAllowedInvite, requireAllowedJoin } from './allowed-contacts.ts'
import { createPolicyLists } from './policy-lists.ts'

const alice = '@alice:hearth.test' as UserId
const room = (id: string) => id as RoomId
const user = (id: string) => id as UserId
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({
    users: [alice],
    config: { abuse: { invites: { deny: ['*.evil.example', 'evil.example'] }, joins: { allow: ['good.example'] } } },
  })
})
afterAll(() => app.close())

const invited = (inviter: string, by: Parameters<typeof requireAllowedInvite>[0] = app) =>
  requireAllowedInvite(by, { inviter: user(inviter), invitees: [alice], roomId: room('!r') }).then(
    () => 'allowed',
    (error) => error.message,
  )
const joined = (roomId: string, userId = alice) =>
  requireAllowedJoin(app, { userId, roomId: room(roomId) }).then(
    () => 'allowed',
    (error) => error.errcode,
  )

test('servers are allowed and denied by lists', async () => {
  expect(await invited('@a:fine.example')).toBe('allowed')
  expect(await invited('@a:EVIL.example:8448')).toBe('This server does not exchange invites with EVIL.example:8448')
  expect(await invited('@a:x.evil.example')).toMatch(/does not exchange/)
  expect(await invited('@a:Evil.example.')).toMatch(/does not exchange/)
  expect(await invited('@bob:hearth.test')).toBe('allowed')
  expect([await joined('!r:good.example'), await joined('!r:hearth.test'), await joined('!newroom')]).toEqual([
    ...['allowed', 'allowed', 'allowed'],
  ])
  expect([await joined('!r:bad.example'), await joined('!r:hearth.test', user('@a:bad.example'))]).toEqual([
    ...['M_FORBIDDEN', 'M_FORBIDDEN'],
  ])
})

test('policy rooms ban users, servers and rooms, and are read again when their state changes', async () => {
  const roomId = await createRoom(app, alice, { preset: 'public_chat' })
  const config = { ...app.config, abuse: { ...app.config.abuse, policy_rooms: [roomId, '!unknown:x'] } }
  const policyLists = createPolicyLists({ ...app, config })
  const by = { ...app, config, policyLists }
  const set = (type: string, entity: string | null, stateKey = `rule:${entity}`) => {
    const content = entity === null ? {} : { entity, recommendation: 'm.ban', reason: 'spam' }
    return sendStateLocally(app, { roomId, sender: alice, type: `m.policy.rule.${type}`, stateKey, content })
  }
  expect(await invited('@spam1:a.example', by)).toBe('allowed')
  await set('user', '@spam*:*')
  await set('server', 'b.example')
  await set('room', '!r')
  const refusal = (inviter: string) => {
    // The lists pause for ten times as long as they took to load.
    app.clock.advance(60_000)
    return invited(inviter, by)
  }
  await expect.poll(() => refusal('@spam1:a.example')).toBe('A policy list of this server bans @spam1:a.example: spam')
  expect(await refusal('@x:b.example:8448')).toBe('A policy list of this server bans b.example: spam')
  expect(await refusal('@x:c.example')).toBe('A policy list of this server bans !r: spam')
  expect((await policyLists.rules()).size).toBe(3)
  expect(await refusal('@x:B.example.')).toBe('A policy list of this server bans b.example: spam')
  await set('room', null, 'rule:!r')
  await expect.poll(() => refusal('@x:c.example')).toBe('allowed')
  await set('server', 'C.Example')
  await set('user', '@y:d.example')
  // The first check after the change waits for it.
  expect(await refusal('@x:c.example')).toBe('A policy list of this server bans c.example: spam')
  expect(await refusal('@y:D.example:8448')).toBe('A policy list of this server bans @y:d.example: spam')
  // A clock that is set back.
  app.clock.advance(-86_400_000)
  await set('server', 'e.example')
  await expect.poll(() => invited('@x:e.example', by)).toBe('A policy list of this server bans e.example: spam')
})
