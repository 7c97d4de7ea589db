import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId, ServerName } from '../../core/ids.ts'
import type { Event } from '../../core/pdu.ts'
import { DeniedServerError } from '../../infra/federation/federation-error.ts'
import { findMembership, loadRoomMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { findRoom } from '../../storage/rooms/room-summary.ts'
import { loadEventsById } from '../../storage/rooms/timeline/events.ts'
import { findRoomHead } from '../../storage/rooms/timeline/room-heads.ts'
import { readAllState, readStateEvent } from '../../storage/rooms/timeline/room-state.ts'
import { ALICE, BOB, CAROL } from '../../testing/reading-room.ts'
import { createRemoteRoom } from '../../testing/remote-room.ts'
import {
  type AppWithRemote,
  BORIS,
  createAppWithRemote,
  createSharedRoom,
  REMOTE,
} from '../../testing/remote-server.ts'
import { clientOf } from '../../testing/sync-client.ts'
import { appendEvent } from '../rooms/timeline/append-event.ts'
import { beginStateCheck, CHECK_ROOM_STATE, findStateCheck, runStateCheck } from './check-room-state.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.close())

type Options = { peers?: ServerName[]; repairs?: boolean }

async function check(roomId: RoomId, { peers = [], repairs = false }: Options = {}) {
  const task_id = await beginStateCheck(app, { roomId, peers, repairs })
  await runStateCheck(app, { task_id, room_id: roomId, peers, repairs })
  await app.database.write((tx) => sql`delete from jobs where kind = ${CHECK_ROOM_STATE}`.execute(tx.sql))
  return findStateCheck(app, task_id)
}

const run = (statement: ReturnType<typeof sql>) => app.database.write((tx) => statement.execute(tx.sql))
const right = {
  status: 'complete',
  is_right: true,
  is_repaired: false,
  wrong_events: 0,
  state_total: 0,
  members_total: 0,
}

async function topicNow(roomId: RoomId): Promise<unknown> {
  const head = (await findRoomHead(app.database, roomId))!
  return (await readStateEvent(app.database, head.state_root, 'm.room.topic'))?.pdu.content.topic
}

/** A room whose topic was set on both sides of a fork, and which was merged, and has forked again. */
async function createForkedRoom() {
  const room = await createSharedRoom(app)
  const { roomId, state, make, receive, message, member } = room
  await state('m.room.power_levels', { users: { [BORIS]: 50 } })
  await member(BOB, 'join')
  const theirs = await make({ type: 'm.room.topic', state_key: '', content: { topic: 'theirs' } })
  await state('m.room.topic', { topic: 'ours' })
  await receive(theirs)
  const merge = await message(ALICE, 'merged')
  const list = await make({ type: 'org.example.list', state_key: 'x', content: {} })
  await member(CAROL, 'join')
  await receive(list)
  return { ...room, merge, theirs, roomId }
}

test('the state of a healthy room with forks is found right, and nothing is changed', async () => {
  const { roomId, redact, theirs } = await createForkedRoom()
  const head = await findRoomHead(app.database, roomId)
  expect(await check(roomId, { repairs: true })).toMatchObject({ ...right, summary: [] })
  expect(await findRoomHead(app.database, roomId)).toEqual(head)
  await redact(ALICE, theirs.event_id)
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('a lost change of the current state is found, repaired only on demand, and reaches clients', async () => {
  const { roomId, state, message, member } = await createForkedRoom()
  const old = await message(BOB, 'before')
  await state('m.room.topic', { topic: 'newest' })
  await member(CAROL, 'leave')
  const left = (await findRoomHead(app.database, roomId))!
  await run(sql`update room_heads set state_root = ${old.state_after}::bigint where room_id = ${roomId}`)
  await run(sql`update rooms set topic = 'wrong', joined_members = 9 where room_id = ${roomId}`)
  const bob = clientOf(app, BOB)
  await bob.sync()

  const found = await check(roomId)
  expect(found).toMatchObject({
    status: 'complete',
    is_right: false,
    is_repaired: false,
    wrong_events: 0,
    state_total: 2,
  })
  const keys = found.state!.map(({ type, state_key }) => `${type}|${state_key}`).sort()
  expect(keys).toEqual([`m.room.member|${CAROL}`, 'm.room.topic|'])
  expect(found.summary).toEqual(['topic', 'joined_members'])
  expect(await topicNow(roomId)).not.toBe('newest')

  expect(await check(roomId, { repairs: true })).toMatchObject({ is_right: false, is_repaired: true, state_total: 2 })
  expect(await topicNow(roomId)).toBe('newest')
  expect(await findRoom(app.database, roomId)).toMatchObject({ topic: 'newest', joined_members: 3 })
  const { state: changed, timeline } = (await bob.sync()).rooms.join[roomId]!
  const events = [...((changed?.events ?? []) as Event['pdu'][]), ...(timeline.events as Event['pdu'][])]
  const said = events.map(({ type, content }) => [type, content.topic ?? content.membership])
  expect(said).toEqual(
    expect.arrayContaining([
      ['m.room.topic', 'newest'],
      ['m.room.member', 'leave'],
    ]),
  )
  expect((await findRoomHead(app.database, roomId))!.next_order).toBe(left.next_order + 1)
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('wrong states of events are recomputed from the events before them', async () => {
  const { roomId, create, state, message } = await createForkedRoom()
  const topic = await state('m.room.topic', { topic: 'kept' })
  const after = [await message(ALICE, 'one'), await state('m.room.name', { name: 'Tea' }), await message(BOB, 'two')]
  const last = after.at(-1)!
  const whole = await readAllState(app.database, last.state_after!)
  // As if the topic had been lost when it was set.
  await run(sql`update events set state_after = state_before where event_id = ${topic.event_id}`)
  await run(sql`update events set state_before = ${create.state_after}::bigint, state_after = ${create.state_after}::bigint
    where event_id = ${last.event_id}`)
  await run(sql`update room_heads set state_root = ${create.state_after}::bigint where room_id = ${roomId}`)

  expect(await check(roomId)).toMatchObject({ wrong_events: 2, is_right: false })
  expect(await check(roomId, { repairs: true })).toMatchObject({ wrong_events: 2, is_repaired: true })
  const { state_after: root } = (await loadEventsById(app.database, [last.event_id]))[0]!
  const ids = (events: readonly { event_id: string }[]) => events.map(({ event_id }) => event_id).sort()
  const { rows } = await sql<{ state_after: number }>`select state_after from events
    where event_id = ${last.event_id}`.execute(app.database.sql)
  expect(ids(await readAllState(app.database, rows[0]!.state_after))).toEqual(ids(whole))
  expect(root).not.toBe(create.state_after)
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('stored members that are not those of the state are set right', async () => {
  const { roomId } = await createForkedRoom()
  await run(sql`update room_memberships set membership = 'leave' where room_id = ${roomId} and user_id = ${BOB}`)
  await run(sql`delete from room_memberships where room_id = ${roomId} and user_id = ${BORIS}`)
  const stray = '@stray:remote'
  await run(
    sql`insert into room_memberships (room_id, user_id, membership, event_nid) values (${roomId}, ${stray}, 'join', 1)`,
  )
  const found = await check(roomId)
  expect(found).toMatchObject({ is_right: false, state_total: 0, members_total: 3 })
  expect([...found.members!].sort()).toEqual([BOB, BORIS, stray])
  await check(roomId, { repairs: true })
  expect(await findMembership(app.database, roomId, BOB)).toMatchObject({ membership: 'join' })
  const joined = (await loadRoomMemberships(app.database, roomId, ['join'])).map(({ user_id }) => user_id)
  expect(joined.sort()).toEqual([ALICE, BOB, BORIS, CAROL])
  expect(await findRoom(app.database, roomId)).toMatchObject({ joined_members: 4, joined_local_members: 3 })
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('a state event in the transaction of a repair is counted too', async () => {
  const { roomId, state, message } = await createSharedRoom(app)
  const old = await message(ALICE, 'before')
  await state('m.room.topic', { topic: 'newest' })
  await run(sql`update room_heads set state_root = ${old.state_after}::bigint where room_id = ${roomId}`)
  const { other_state_events: counted } = (await findRoom(app.database, roomId))!
  const later = { type: 'org.example.later', state_key: '', sender: ALICE, content: {} }
  const { run: runCommand, ...others } = app.rooms
  const busy: AppWithRemote = {
    ...app,
    rooms: {
      ...others,
      async run(id, command, options) {
        const [result] = await Promise.all([
          runCommand(id, command, options),
          runCommand(id, (room) => appendEvent(app, room, later)),
        ])
        return result
      },
    },
  }
  const task_id = await beginStateCheck(app, { roomId, peers: [], repairs: true })
  await runStateCheck(busy, { task_id, room_id: roomId, peers: [], repairs: true })
  await run(sql`delete from jobs where kind = ${CHECK_ROOM_STATE}`)
  expect(await findStateCheck(app, task_id)).toMatchObject({ is_repaired: true })
  expect(await findRoom(app.database, roomId)).toMatchObject({ other_state_events: counted + 1 })
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('an invite that came apart from the events of the room is kept and counted, also that of a former member', async () => {
  const { roomId, member } = await createForkedRoom()
  await member(BOB, 'leave')
  await run(sql`insert into events (event_nid, event_id, room_id, type, state_key, sender, origin_server_ts, depth, json)
    values (-7, '$apart', ${roomId}, 'm.room.member', ${BOB}, ${BORIS}, 1, 1, '{}')`)
  await run(sql`update room_memberships set membership = 'invite', event_nid = -7
    where room_id = ${roomId} and user_id = ${BOB}`)
  await run(sql`update rooms set invited_members = invited_members + 1 where room_id = ${roomId}`)
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('if no local member may send, the state is repaired without an event', async () => {
  const { roomId, state, message } = await createSharedRoom(app)
  const old = await message(ALICE, 'before')
  await state('m.room.topic', { topic: 'newest' })
  await run(sql`update room_heads set state_root = ${old.state_after}::bigint where room_id = ${roomId}`)
  await run(sql`update users set locked = true where user_id = ${ALICE}`)
  const { next_order: next } = (await findRoomHead(app.database, roomId))!
  expect(await check(roomId, { repairs: true })).toMatchObject({ is_repaired: true, state_total: 1 })
  await run(sql`update users set locked = false where user_id = ${ALICE}`)
  expect(await topicNow(roomId)).toBe('newest')
  expect((await findRoomHead(app.database, roomId))!.next_order).toBe(next)
  expect(await check(roomId)).toMatchObject({ ...right, summary: [] })
})

test('a peer is compared at an event that it knows, and only differences there are reported', async () => {
  const { roomId, merge, state, make, version } = await createForkedRoom()
  const newest = await state('m.room.topic', { topic: 'the peer has not received this' })
  const before = await readAllState(app.database, merge.state_before!)
  const theirs: string[] = before.map(({ event_id }) => event_id)
  const lost = await make({ type: 'org.example.lost', state_key: 'k', content: {} })
  app.answerWith(({ path, query }) => {
    if (path.endsWith(`/event/${encodeURIComponent(lost.event_id)}`)) return { pdus: [lost.pdu] }
    if (!path.includes('/state_ids/') || query?.event_id !== merge.event_id) return undefined
    return { pdu_ids: theirs, auth_chain_ids: [] }
  })
  const same = await check(roomId, { peers: [REMOTE] })
  expect(same).toMatchObject(right)
  expect(same.peers).toMatchObject([{ server: REMOTE, event_id: merge.event_id, differences: [], error: null }])

  const topic = before.find(({ pdu }) => pdu.type === 'm.room.topic')!
  theirs.splice(theirs.indexOf(topic.event_id), 1, lost.event_id)
  const other = await check(roomId, {})
  expect(other.peers).toMatchObject([
    {
      ...{ server: REMOTE, event_id: merge.event_id, differences_total: 2, missing_total: 1, unknown_total: 0 },
      missing_events: [lost.event_id],
      differences: [
        { type: 'm.room.topic', state_key: '', ours: topic.event_id, theirs: null },
        { type: 'org.example.lost', state_key: 'k', ours: null, theirs: lost.event_id },
      ],
    },
  ])
  theirs.splice(theirs.indexOf(lost.event_id), 1, newest.event_id, merge.event_id)
  // The merge is stored, but no state event.
  expect((await check(roomId)).peers).toMatchObject([
    {
      ...{ differences_total: 1, missing_total: 0, unknown_total: 1 },
      differences: [{ type: 'm.room.topic', state_key: '', ours: topic.event_id, theirs: newest.event_id }],
    },
  ])
  app.answerWith(() => {
    throw new DeniedServerError(REMOTE)
  })
  const error = `This server does not federate with ${REMOTE}`
  expect((await check(roomId)).peers).toMatchObject([{ server: REMOTE, event_id: null, error }])
  app.answerWith(() => undefined)
  expect((await check(roomId)).peers).toMatchObject([{ server: REMOTE, event_id: null, error: expect.any(String) }])
  expect(version.id).toBe('12')
})

test('a room joined from another server is found right; with partial state it is refused', async () => {
  const remote = createRemoteRoom(app)
  await remote.joinPartially()
  await expect(check(remote.roomId)).rejects.toMatchObject({ errcode: 'M_UNKNOWN' })
  await expect(check('!nowhere:remote' as RoomId)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  const { roomId } = await createSharedRoom(app)
  await beginStateCheck(app, { roomId, peers: [], repairs: false })
  await expect(check(roomId)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
})

test('a check that runs again after its repair keeps the report', async () => {
  const { roomId, state, message } = await createSharedRoom(app)
  const old = await message(ALICE, 'before')
  await state('m.room.topic', { topic: 'newest' })
  await run(sql`update room_heads set state_root = ${old.state_after}::bigint where room_id = ${roomId}`)
  const task_id = await beginStateCheck(app, { roomId, peers: [], repairs: true })
  const payload = { task_id, room_id: roomId, peers: [], repairs: true }
  await runStateCheck(app, payload)
  await runStateCheck(app, payload)
  expect(await findStateCheck(app, task_id)).toMatchObject({ is_repaired: true, state_total: 1, status: 'complete' })
})

test('a repair that the policy server of the room refuses is not reported as made', async () => {
  const { roomId, state, message } = await createSharedRoom(app)
  const old = await message(ALICE, 'before')
  await state('m.room.policy', { via: REMOTE, public_keys: { ed25519: 'key' } })
  await run(sql`update room_heads set state_root = ${old.state_after}::bigint where room_id = ${roomId}`)
  app.answerWith(() => undefined)
  expect(await check(roomId, { repairs: true })).toMatchObject({ is_repaired: false, status: 'failed' })
  expect((await findRoomHead(app.database, roomId))?.state_root).toBe(old.state_after)
})
