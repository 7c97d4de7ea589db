import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId } from '../../../core/ids.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let ids: Record<string, RoomId>

const space = { preset: 'public_chat', creation_content: { type: 'm.space' } }
const link = (parent: RoomId, child: RoomId, content: object = {}) =>
  alice.ok('PUT', `/rooms/${parent}/state/m.space.child/${child}`, { via: ['hearth.test'], ...content })

beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice')
  bob = await api.client('bob')
  const [root, sub] = [await alice.createRoom(space), await alice.createRoom(space)]
  const [open, hidden] = [await alice.createRoom({ preset: 'public_chat' }), await alice.createRoom()]
  const allow = [{ type: 'm.room_membership', room_id: root }]
  const rules = { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }
  const restricted = await alice.createRoom({ initial_state: [rules] })
  ids = { root, sub, open, hidden, restricted }
  await link(root, open, { order: 'b' })
  await link(root, sub, { order: 'a', suggested: true })
  await link(root, hidden)
  await link(root, restricted)
  await link(sub, root)
  await alice.ok('PUT', `/rooms/${root}/state/m.space.child/!gone:hearth.test`, {})
})
afterAll(() => api.close())

const ask = (who: TestClient, query = '') => who.ask('GET', `/../v1/rooms/${ids.root}/hierarchy${query}`)
const named = (rooms: { room_id: RoomId }[]) =>
  rooms.map(({ room_id }) => Object.keys(ids).find((name) => ids[name] === room_id))

test('depth first, in order, each room once, as far as the user may know', async () => {
  const { body } = await ask(alice)
  expect(named(body.rooms)).toEqual(['root', 'sub', 'open', 'hidden', 'restricted'])
  expect(body.rooms[0].children_state.map((child: { state_key: RoomId }) => child.state_key)).toEqual([
    ids.sub,
    ids.open,
    ids.hidden,
    ids.restricted,
  ])
  expect(body.rooms[4]).toMatchObject({ join_rule: 'restricted', allowed_room_ids: [ids.root], children_state: [] })
  expect(named((await ask(bob)).body.rooms)).toEqual(['root', 'sub', 'open'])
  await bob.ok('POST', `/rooms/${ids.root}/join`)
  expect(named((await ask(bob)).body.rooms)).toEqual(['root', 'sub', 'open', 'restricted'])
})

test('pages are of one request', async () => {
  const first = await ask(alice, '?limit=2')
  expect(named(first.body.rooms)).toEqual(['root', 'sub'])
  const second = await ask(alice, `?limit=2&from=${encodeURIComponent(first.body.next_batch)}`)
  expect(named(second.body.rooms)).toEqual(['open', 'hidden'])
  const last = await ask(alice, `?limit=2&from=${encodeURIComponent(second.body.next_batch)}`)
  expect(named(last.body.rooms)).toEqual(['restricted'])
  expect(last.body).not.toHaveProperty('next_batch')
  const other = `?suggested_only=true&from=${encodeURIComponent(first.body.next_batch)}`
  expect(await ask(alice, other)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  expect(await ask(alice, '?from=x')).toMatchObject({ status: 400 })
  expect(await ask(alice, '?limit=0')).toMatchObject({ status: 400 })
})

test('depth and suggestions', async () => {
  expect(named((await ask(alice, '?max_depth=0')).body.rooms)).toEqual(['root'])
  const { rooms } = (await ask(alice, '?suggested_only=true')).body
  expect(named(rooms)).toEqual(['root', 'sub'])
  expect(rooms[0].children_state).toHaveLength(1)
})

test("a space that is none of the user's business", async () => {
  expect(await bob.ask('GET', `/../v1/rooms/${ids.hidden}/hierarchy`)).toMatchObject({ status: 403 })
  expect(await bob.ask('GET', '/../v1/rooms/!unknown:hearth.test/hierarchy')).toMatchObject({ status: 403 })
})

test('summaries say what anybody may know, and to members more', async () => {
  expect(await bob.ok('GET', `/../v1/room_summary/${ids.open}`)).toMatchObject({
    join_rule: 'public',
    membership: 'leave',
  })
  expect(await alice.ok('GET', `/../unstable/im.nheko.summary/summary/${ids.hidden}`)).toMatchObject({
    membership: 'join',
  })
  expect(await bob.ask('GET', `/../v1/room_summary/${ids.hidden}`)).toMatchObject({ status: 404 })
})

test('reports are kept', async () => {
  const { event_id } = await alice.ok('PUT', `/rooms/${ids.open}/send/m.room.message/1`, {
    msgtype: 'm.text',
    body: 'x',
  })
  expect(await bob.ask('POST', `/rooms/${ids.open}/report/${event_id}`, { reason: 'r' })).toMatchObject({ status: 404 })
  await alice.ok('POST', `/rooms/${ids.open}/report/${event_id}`, { reason: 'r', score: -50 })
  await bob.ok('POST', `/rooms/${ids.hidden}/report`, { reason: '' })
  await bob.ok('POST', `/users/${alice.userId}/report`, { reason: 'u' })
  expect(await bob.ask('POST', '/users/@none:hearth.test/report', { reason: 'u' })).toMatchObject({ status: 404 })
  expect(await bob.ask('POST', `/rooms/${ids.open}/report`, {})).toMatchObject({ status: 400 })
  const rows = await api.app.database.sql.selectFrom('reports').selectAll().orderBy('report_nid').execute()
  expect(rows).toMatchObject([
    { reporter: alice.userId, room_id: ids.open, event_id, reason: 'r', score: -50 },
    { reporter: bob.userId, room_id: ids.hidden, event_id: null },
    { reporter: bob.userId, reported_user: alice.userId, reason: 'u' },
  ])
})

test('rooms in common', async () => {
  const answer = await alice.ok('GET', `/../v1/mutual_rooms?user_id=${bob.userId}`)
  expect(answer).toEqual({ joined: [ids.root], count: 1 })
  expect(await alice.ask('GET', `/../v1/mutual_rooms?user_id=${alice.userId}`)).toMatchObject({ status: 400 })
})
