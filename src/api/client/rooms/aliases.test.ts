import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let admin: TestClient
beforeAll(async () => {
  api = await startClientApi()
  ;[alice, bob] = [await api.client('alice'), await api.client('bob')]
  admin = await api.client('admin', { admin: true })
})
afterAll(() => api.close())

let made = 0
const newAlias = () => `#alias${++made}:hearth.test`
const path = (alias: string) => `/directory/room/${encodeURIComponent(alias)}`
const put = (user: TestClient, alias: string, room_id: string) => user.ask('PUT', path(alias), { room_id })
const remove = (user: TestClient, alias: string) => user.ask('DELETE', path(alias))
const setCanonical = (user: TestClient, roomId: string, content: object) =>
  user.ask('PUT', `/rooms/${roomId}/state/m.room.canonical_alias`, content)
const list = (user: TestClient, roomId: string) => user.ask('GET', `/rooms/${roomId}/aliases`)

async function sharedRoom() {
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/rooms/${roomId}/join`, {})
  return roomId
}

async function expectError(
  request: Promise<{ status: number; body: { errcode: string } }>,
  status: number,
  errcode: string,
) {
  const answer = await request
  expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
}

describe('an alias', () => {
  test('is made by a member, found by anyone, and listed', async () => {
    const roomId = await sharedRoom()
    expect((await list(alice, roomId)).body).toEqual({ aliases: [] })
    const unicode = '#老虎Â£я🤨👉ඞ:hearth.test'
    expect((await put(bob, unicode, roomId)).body).toEqual({})
    expect(await api.client('stranger').then((user) => user.ok('GET', path(unicode)))).toEqual({
      room_id: roomId,
      servers: ['hearth.test'],
    })
    expect((await list(alice, roomId)).body).toEqual({ aliases: [unicode] })
    expect((await list(admin, roomId)).body).toEqual({ aliases: [unicode] })
  })

  test('is listed to members only, unless all may read the room', async () => {
    const roomId = await alice.createRoom()
    await expectError(list(bob, roomId), 403, 'M_FORBIDDEN')
    await expectError(list(bob, '!no:hearth.test'), 403, 'M_FORBIDDEN')
    await alice.ok('PUT', `/rooms/${roomId}/state/m.room.history_visibility`, { history_visibility: 'world_readable' })
    expect((await list(bob, roomId)).status).toBe(200)
  })

  test('is refused where it cannot be', async () => {
    const roomId = await alice.createRoom()
    const alias = newAlias()
    await expectError(put(bob, alias, roomId), 403, 'M_FORBIDDEN')
    await expectError(put(alice, alias, '!no:hearth.test'), 403, 'M_FORBIDDEN')
    await expectError(put(admin, alias, '!no:hearth.test'), 404, 'M_NOT_FOUND')
    await expectError(put(alice, '#x:elsewhere.test', roomId), 400, 'M_INVALID_PARAM')
    await expectError(put(alice, '#a b:hearth.test', roomId), 400, 'M_INVALID_PARAM')
    await expectError(put(alice, 'nonsense', roomId), 400, 'M_INVALID_PARAM')
    await expectError(alice.ask('PUT', path(alias), {}), 400, 'M_MISSING_PARAM')
    await expectError(alice.ask('GET', path(alias)), 404, 'M_NOT_FOUND')
    await expectError(alice.ask('GET', path('#x:elsewhere.test')), 404, 'M_NOT_FOUND')
    await put(alice, alias, roomId)
    await expectError(put(alice, alias, roomId), 409, 'M_UNKNOWN')
  })

  test('of two who want it at once, one gets it', async () => {
    const roomId = await sharedRoom()
    const alias = newAlias()
    const answers = await Promise.all([put(alice, alias, roomId), put(bob, alias, roomId)])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  })
})

describe('removing', () => {
  test('is for its creator, moderators of the room and administrators', async () => {
    const roomId = await sharedRoom()
    const [first, second, third] = [newAlias(), newAlias(), newAlias()]
    await put(bob, first, roomId)
    await put(alice, second, roomId)
    await put(alice, third, roomId)
    await expectError(remove(bob, second), 403, 'M_FORBIDDEN')
    expect((await remove(bob, first)).body).toEqual({})
    await put(bob, first, roomId)
    expect((await remove(alice, first)).status).toBe(200)
    expect((await remove(admin, third)).status).toBe(200)
    await expectError(remove(alice, first), 404, 'M_NOT_FOUND')
    await expectError(remove(alice, '#x:elsewhere.test'), 400, 'M_INVALID_PARAM')
    expect((await list(alice, roomId)).body).toEqual({ aliases: [second] })
  })

  test('takes it out of the canonical alias, if the user may change that', async () => {
    const roomId = await sharedRoom()
    const [main, other, bobs] = [newAlias(), newAlias(), newAlias()]
    for (const alias of [main, other]) await put(alice, alias, roomId)
    await put(bob, bobs, roomId)
    await setCanonical(alice, roomId, { alias: main, alt_aliases: [other, bobs], more: 1 })
    expect((await remove(bob, bobs)).status).toBe(200)
    const canonical = async () => (await api.state(roomId as never))['m.room.canonical_alias|']
    expect(await canonical()).toEqual({ alias: main, alt_aliases: [other, bobs], more: 1 })
    await remove(alice, main)
    expect(await canonical()).toEqual({ alt_aliases: [other, bobs], more: 1 })
    await put(alice, main, roomId)
    await setCanonical(alice, roomId, { alias: main })
    await remove(alice, main)
    expect(await canonical()).toEqual({})
  })
})

describe('a canonical alias', () => {
  test('must point to the room, as every new alternative; those that were there before need not', async () => {
    const [roomId, otherRoom] = [await sharedRoom(), await sharedRoom()]
    const [here, there] = [newAlias(), newAlias()]
    await put(alice, here, roomId)
    await put(alice, there, otherRoom)
    await expectError(setCanonical(alice, roomId, { alias: newAlias() }), 400, 'M_BAD_ALIAS')
    await expectError(setCanonical(alice, roomId, { alias: there }), 400, 'M_BAD_ALIAS')
    await expectError(setCanonical(alice, roomId, { alias: '%no:hearth.test' }), 400, 'M_INVALID_PARAM')
    await expectError(setCanonical(alice, roomId, { alias: here, alt_aliases: [there] }), 400, 'M_BAD_ALIAS')
    await expectError(setCanonical(alice, roomId, { alias: here, alt_aliases: ['%x'] }), 400, 'M_INVALID_PARAM')
    await expectError(setCanonical(alice, roomId, { alt_aliases: 'x' }), 400, 'M_INVALID_PARAM')
    await expectError(setCanonical(alice, roomId, { alias: 5 }), 400, 'M_INVALID_PARAM')
    await expectError(setCanonical(bob, roomId, { alias: here }), 403, 'M_FORBIDDEN')
    expect((await api.state(roomId as never))['m.room.canonical_alias|']).toBeUndefined()
    expect((await setCanonical(alice, roomId, { alias: here, alt_aliases: [here] })).status).toBe(200)
    expect((await setCanonical(alice, roomId, { alias: null })).status).toBe(200)
    await setCanonical(alice, roomId, { alias: here })
    await api.app.database.write((tx) =>
      tx.sql
        .deleteFrom('room_aliases')
        .where('room_alias', '=', here as never)
        .execute(),
    )
    expect((await setCanonical(alice, roomId, { alt_aliases: [here] })).status).toBe(200)
  })
})
