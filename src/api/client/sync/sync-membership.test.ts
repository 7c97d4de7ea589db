import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RoomId } from '../../../core/ids.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import {
  act,
  brief,
  ignore,
  send,
  setState,
  startSyncApi,
  sync,
  syncSince,
  tokenOf,
} from '../../../testing/sync-requests.ts'

let api: Awaited<ReturnType<typeof startSyncApi>>
let alice: TestClient
let bob: TestClient
let roomId: RoomId
let made = 0
beforeAll(async () => {
  api = await startSyncApi()
})
beforeEach(async () => {
  alice = await api.client(`alice${++made}`)
  bob = await api.client(`bob${made}`)
  roomId = await alice.createRoom({ preset: 'private_chat', name: 'Tea' })
})
afterAll(() => api.close())

const me = () => `bob${made}`
const newsFor = async (client: TestClient, since: string, options = {}) =>
  (await syncSince(client, since, options)).rooms ?? {}
async function enter() {
  await act(alice, roomId, 'invite', bob)
  await act(bob, roomId, 'join')
}

test('an invite shows the room in stripped state, in every sync until it is answered', async () => {
  const since = await tokenOf(bob)
  await act(alice, roomId, 'invite', bob)
  for (const rooms of [await newsFor(bob, since), (await sync(bob)).rooms]) {
    expect(Object.keys(rooms)).toEqual(['invite'])
    const { events } = rooms.invite[roomId].invite_state
    expect(brief({ events })).toEqual([
      'm.room.create',
      'm.room.name',
      'm.room.join_rules',
      `join alice${made}`,
      `invite ${me()}`,
    ])
    for (const { origin_server_ts: _, ...event } of events)
      expect(Object.keys(event).sort()).toEqual(['content', 'sender', 'state_key', 'type'])
  }
})

test('a rejected invite shows the leave event and nothing of the room', async () => {
  await act(alice, roomId, 'invite', bob)
  const invited = await tokenOf(bob)
  await setState(alice, roomId, 'm.room.topic', { topic: 'secret' })
  await act(bob, roomId, 'leave')
  const { leave } = await newsFor(bob, invited)
  expect(brief(leave[roomId].timeline)).toEqual([`leave ${me()}`])
  expect(leave[roomId].state.events).toEqual([])
  expect((await sync(bob)).rooms).toBeUndefined()
  const all = await sync(bob, { filter: { room: { include_leave: true } } })
  expect(brief(all.rooms.leave[roomId].timeline)).toEqual([`leave ${me()}`])
  expect(all.rooms.leave[roomId].state.events).toEqual([])
})

test('rejecting an invite to a room that one has left long ago shows nothing newer of it', async () => {
  await enter()
  await act(bob, roomId, 'leave')
  await act(alice, roomId, 'invite', bob)
  const invited = await tokenOf(bob)
  await setState(alice, roomId, 'm.room.topic', { topic: 'secret' })
  await act(bob, roomId, 'leave')
  const { leave } = await newsFor(bob, invited)
  expect(brief(leave[roomId].timeline)).toEqual([`leave ${me()}`])
  expect(leave[roomId].state.events).toEqual([])
  const all = (await sync(bob, { filter: { room: { include_leave: true, timeline: { limit: 1 } } } })).rooms.leave
  expect(brief(all[roomId].timeline)).toEqual([`leave ${me()}`])
  expect(brief(all[roomId].state)).toContain('m.room.name')
  expect(brief(all[roomId].state)).not.toContain('m.room.topic')
})

test('joining gives all of the room, and a limited timeline', async () => {
  const since = await tokenOf(bob)
  for (let i = 0; i < 5; i++) await send(alice, roomId, `m${i}`)
  await enter()
  const rooms = await newsFor(bob, since, { filter: { room: { timeline: { limit: 3 } } } })
  expect(Object.keys(rooms)).toEqual(['join'])
  const joined = rooms.join[roomId]
  expect(brief(joined.timeline)).toEqual(['m4', `invite ${me()}`, `join ${me()}`])
  expect(joined.timeline.limited).toBe(true)
  expect(brief(joined.state)).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name', `join alice${made}`]))
  expect(joined.summary['m.joined_member_count']).toBe(2)
})

test('invited, joined and gone between two syncs: a room in "leave", up to the leaving', async () => {
  const since = await tokenOf(bob)
  await enter()
  await send(alice, roomId, 'hello')
  await act(bob, roomId, 'leave')
  await send(alice, roomId, 'behind his back')
  const rooms = await newsFor(bob, since)
  expect(Object.keys(rooms)).toEqual(['leave'])
  const { timeline, state } = rooms.leave[roomId]
  expect(brief(timeline)!.slice(-4)).toEqual([`invite ${me()}`, `join ${me()}`, 'hello', `leave ${me()}`])
  expect([...brief(state)!, ...brief(timeline)!]).toContain('m.room.create')
})

describe('a user who was joined', () => {
  let since: string
  beforeEach(async () => {
    await enter()
    since = await tokenOf(bob)
  })

  test('and leaves hears of what was before, and of nothing after', async () => {
    await send(alice, roomId, 'before')
    await act(bob, roomId, 'leave')
    await send(alice, roomId, 'after')
    const rooms = await newsFor(bob, since)
    expect(Object.keys(rooms)).toEqual(['leave'])
    expect(brief(rooms.leave[roomId].timeline)).toEqual(['before', `leave ${me()}`])
    expect(rooms.leave[roomId].timeline.limited).toBe(false)
    expect((await syncSince(bob, await tokenOf(bob))).rooms).toBeUndefined()
    expect((await sync(bob)).rooms).toBeUndefined()
  })

  test('and leaves and forgets: other devices still hear of the leaving, new ones of nothing', async () => {
    await act(bob, roomId, 'leave')
    await act(bob, roomId, 'forget')
    expect(brief((await newsFor(bob, since)).leave[roomId].timeline)).toEqual([`leave ${me()}`])
    expect((await sync(bob, { filter: { room: { include_leave: true } } })).rooms).toBeUndefined()
  })

  test('and leaves and comes back has a timeline without a hole, and the room is not new', async () => {
    await act(bob, roomId, 'leave')
    await setState(alice, roomId, 'm.room.topic', { topic: 'new' })
    await enter()
    const { join } = await newsFor(bob, since)
    const room = join[roomId]
    expect(brief(room.timeline)).toEqual([`leave ${me()}`, 'm.room.topic', `invite ${me()}`, `join ${me()}`])
    expect(room.timeline.limited).toBe(false)
    expect(room.state.events).toEqual([])
  })

  test('and comes back to a room that hides the events of the absence still gets the state', async () => {
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'joined' })
    await act(bob, roomId, 'leave')
    await setState(alice, roomId, 'm.room.topic', { topic: 'new' })
    await send(alice, roomId, 'secret')
    await enter()
    const { join } = await newsFor(bob, since)
    expect(brief(join[roomId].timeline)).not.toContain('m.room.topic')
    expect(brief(join[roomId].timeline)).not.toContain('secret')
    expect(brief(join[roomId].state)).toContain('m.room.topic')
  })

  test.each(['kick', 'ban'])('and is sent away by %s hears of it, also by an ignored user', async (action) => {
    await ignore(bob, alice)
    await send(alice, roomId, 'ignored')
    await act(alice, roomId, action, bob)
    const { leave } = await newsFor(bob, since)
    expect(brief(leave[roomId].timeline)).toEqual([`${action === 'ban' ? 'ban' : 'leave'} ${me()}`])
  })

  test('and leaves and is banned then hears of both, but not of the state between', async () => {
    await act(bob, roomId, 'leave')
    await setState(alice, roomId, 'm.room.topic', { topic: 'secret' })
    await act(alice, roomId, 'ban', bob)
    for (const use_state_after of [false, true]) {
      const room = (await newsFor(bob, since, { use_state_after })).leave[roomId]
      expect(brief(room.timeline)).toEqual([`leave ${me()}`, `ban ${me()}`])
      expect(JSON.stringify(room)).not.toContain('secret')
    }
    const last = (await newsFor(bob, since, { filter: { room: { timeline: { limit: 1 } } } })).leave[roomId]
    expect(brief(last.timeline)).toEqual([`ban ${me()}`])
    expect(JSON.stringify(last)).not.toContain('secret')
  })

  test('and is unbanned hears only that', async () => {
    await act(alice, roomId, 'ban', bob)
    const banned = await tokenOf(bob)
    await setState(alice, roomId, 'm.room.topic', { topic: 'secret' })
    await act(alice, roomId, 'unban', bob)
    const { leave } = await newsFor(bob, banned)
    expect(brief(leave[roomId].timeline)).toEqual([`leave ${me()}`])
    expect(leave[roomId].state.events).toEqual([])
  })

  test('and is kicked and invited again has an invite', async () => {
    await act(alice, roomId, 'kick', bob)
    await act(alice, roomId, 'invite', bob)
    const rooms = await newsFor(bob, since)
    expect(Object.keys(rooms)).toEqual(['invite'])
    expect(brief(rooms.invite[roomId].invite_state)!.at(-1)).toBe(`invite ${me()}`)
    await act(bob, roomId, 'join')
    const back = (await newsFor(bob, (await syncSince(bob, since)).next_batch)).join
    expect(back).toBeUndefined()
  })
})

test('a knock shows the room in stripped state; what comes of it follows', async () => {
  const room_version = '10'
  const join_rules = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }
  roomId = await alice.createRoom({ room_version, initial_state: [join_rules], name: 'Tea' })
  const since = await tokenOf(bob)
  await bob.ok('POST', `/knock/${roomId}`, {})
  for (const rooms of [await newsFor(bob, since), (await sync(bob)).rooms]) {
    expect(Object.keys(rooms)).toEqual(['knock'])
    expect(brief(rooms.knock[roomId].knock_state)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.name', `knock ${me()}`]),
    )
  }
  const knocked = await tokenOf(bob)
  await act(alice, roomId, 'kick', bob)
  const { leave } = await newsFor(bob, knocked)
  expect(brief(leave[roomId].timeline)).toEqual([`leave ${me()}`])
  expect(leave[roomId].state.events).toEqual([])
})

test('room account data from before comes with a room that one joins again', async () => {
  await enter()
  await bob.ok('PUT', `/user/${bob.userId}/rooms/${roomId}/tags/m.favourite`, { order: 0.5 })
  await act(bob, roomId, 'leave')
  const away = await tokenOf(bob)
  await enter()
  const { join } = await newsFor(bob, away)
  expect(join[roomId].account_data.events).toEqual([
    { type: 'm.tag', content: { tags: { 'm.favourite': { order: 0.5 } } } },
  ])
})
