import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { findPartialRoom } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { createRemoteRoom, GONE } from '../../../testing/remote-room.ts'
import { type AppWithRemote, BORIS, createAppWithRemote, REMOTE } from '../../../testing/remote-server.ts'
import { appendEvent } from '../../rooms/timeline/append-event.ts'
import { giveUpRoom, resyncRoom } from './resync-room.ts'

const RITA = '@rita:remote' as UserId
const DORA = '@dora:remote' as UserId

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

const stored = async (event: Event) => (await loadEventsById(app.database, [event.event_id]))[0]!
const complete = async (roomId: RoomId) => resyncRoom(app, (await findPartialRoom(app.database, roomId))!)

async function members(roomId: RoomId): Promise<Record<string, string>> {
  const { rows } = await sql<{ user_id: string; membership: string }>`select user_id, membership from room_memberships
    where room_id = ${roomId}`.execute(app.database.sql)
  return Object.fromEntries(rows.map(({ user_id, membership }) => [user_id, membership]))
}

/** Returns the event IDs of the room's current state, or of that before an event. */
async function stateIds(roomId: RoomId, before?: Event): Promise<string[]> {
  const root = before ? (await stored(before)).state_before : (await findRoomHead(app.database, roomId))?.state_root
  return (await readAllState(app.database, root ?? 0)).map(({ event_id }) => event_id).sort()
}

const idsOf = (events: Iterable<Event>) => [...events].map(({ event_id }) => event_id).sort()

test('a room is used with what is known of it, and knows everybody when it is complete', async () => {
  const room = createRemoteRoom(app)
  room.member(RITA, 'join')
  room.member(DORA, 'join')
  const join = await room.joinPartially()
  app.answerWith(room.answer)
  expect(await members(room.roomId)).toEqual({ [ALICE]: 'join' })
  expect(await loadRoomServers(app.database, room.roomId, 10)).toContain(REMOTE)

  const message = room.make({ sender: RITA, content: { body: 'hello' } })
  expect((await room.receive(message)).outcome).toBe('accepted')
  const own = await app.rooms.run(room.roomId, (locked) =>
    appendEvent(app, locked, { type: 'm.room.message', sender: ALICE, content: { body: 'hello too' } }),
  )
  expect(await members(room.roomId)).toEqual({ [ALICE]: 'join', [RITA]: 'join' })

  await complete(room.roomId)
  expect(await findPartialRoom(app.database, room.roomId)).toBeUndefined()
  expect(await members(room.roomId)).toEqual({ [ALICE]: 'join', [BORIS]: 'join', [RITA]: 'join', [DORA]: 'join' })
  expect(await stateIds(room.roomId)).toEqual(idsOf(room.state.values()))
  expect(await stateIds(room.roomId, own)).toEqual(idsOf(room.state.values()))
  expect(await stateIds(room.roomId, join)).toEqual(idsOf([...room.state.values()].filter((event) => event !== join)))
  const head = await findRoomHead(app.database, room.roomId)
  expect(head).toMatchObject({ is_partial: false, forward_extremities: [own.event_id] })
  const { rows } = await sql<{ joined_members: number; kinds: string[] }>`select joined_members,
    (select array_agg(kind order by stream_position) from stream where stream.room_id = rooms.room_id) as kinds
    from rooms where room_id = ${room.roomId}`.execute(app.database.sql)
  expect(rows).toEqual([{ joined_members: 4, kinds: expect.arrayContaining(['room_partial', 'room_complete']) }])
  // Nothing is left to do, also for a process with an outdated view.
  await resyncRoom(app, { room_id: room.roomId } as never)
})

test('an event sent during the resync is kept', async () => {
  const room = createRemoteRoom(app)
  await room.joinPartially()
  app.answerWith(room.answer)
  let sent: ReturnType<typeof send> | undefined
  const send = () =>
    app.rooms.run(room.roomId, (locked) =>
      appendEvent(app, locked, { type: 'm.room.message', sender: ALICE, content: { body: 'now' } }),
    )
  // Commands of the same tick share a transaction.
  const rooms: typeof app.rooms = {
    ...app.rooms,
    run(...command) {
      sent ??= send()
      return app.rooms.run(...command)
    },
  }
  await resyncRoom({ ...app, rooms }, (await findPartialRoom(app.database, room.roomId))!)
  const message = await sent!
  expect(await stored(message)).toMatchObject({ event_id: message.event_id, rejected: false })
  expect(await findPartialRoom(app.database, room.roomId)).toBeUndefined()
  expect(await stateIds(room.roomId, message)).toEqual(idsOf(room.state.values()))
  expect((await findRoomHead(app.database, room.roomId))?.forward_extremities).toEqual([message.event_id])
})

test('events accepted or refused because of the partial state are corrected', async () => {
  const room = createRemoteRoom(app)
  const levels = { users: { [BORIS]: 100, [RITA]: 100, [DORA]: 50 }, state_default: 50 }
  room.make({ type: 'm.room.power_levels', state_key: '', content: levels })
  const ritaJoin = room.member(RITA, 'join')
  room.member(RITA, 'leave')
  const doraJoin = room.member(DORA, 'join')
  await room.joinPartially()
  app.answerWith(room.answer)
  // Rita has left, and bans Dora nevertheless.
  const [create, power] = [room.events[0]!, room.state.get('m.room.power_levels\0')!]
  const ban = room.member(DORA, 'ban', { sender: RITA, auth: [create, power, ritaJoin, doraJoin], counts: false })
  expect((await room.receive(ban)).outcome).toBe('accepted')
  const topic = room.make({ type: 'm.room.topic', sender: DORA, state_key: '', content: { topic: 'x' }, prev: [ban] })
  expect((await room.receive(topic)).outcome).toBe('rejected')
  const last = room.make({ content: { body: 'last' } })
  expect((await room.receive(last)).outcome).toBe('accepted')
  expect(await members(room.roomId)).toMatchObject({ [DORA]: 'ban' })

  await complete(room.roomId)
  expect(await stored(ban)).toMatchObject({ rejected: true, event_order: null })
  expect(await stored(topic)).toMatchObject({ rejected: false, event_order: expect.any(Number) })
  expect(await stateIds(room.roomId)).toEqual(idsOf(room.state.values()))
  expect(await stateIds(room.roomId, last)).toEqual(idsOf(room.state.values()))
  expect(await members(room.roomId)).toEqual({ [ALICE]: 'join', [BORIS]: 'join', [RITA]: 'leave', [DORA]: 'join' })
  const { rows } = await sql<{ topic: string }>`select topic from rooms where room_id = ${room.roomId}`.execute(
    app.database.sql,
  )
  expect(rows).toEqual([{ topic: 'x' }])
})

test('a banned user stays banned while the state is partial', async () => {
  const room = createRemoteRoom(app)
  const doraJoin = room.member(DORA, 'join')
  await room.joinPartially()
  app.answerWith(room.answer)
  expect((await room.receive(room.member(DORA, 'ban', { sender: BORIS }))).outcome).toBe('accepted')
  const [create, power] = [room.events[0]!, room.state.get('m.room.power_levels\0')!]
  const message = room.make({ sender: DORA, auth: [create, power, doraJoin], counts: false })
  expect((await room.receive(message)).outcome).toBe('rejected')
})

test('while no server answers, the room stays partial; it is given up when no local user is in it', async () => {
  const room = createRemoteRoom(app)
  await room.joinPartially()
  app.answerWith(() => undefined)
  await expect(complete(room.roomId)).rejects.toThrow(FederationError)
  expect(await findPartialRoom(app.database, room.roomId)).toMatchObject({ via: REMOTE })
  await giveUpRoom(app, room.roomId)
  expect(await findPartialRoom(app.database, room.roomId)).toBeUndefined()
  expect((await findRoomHead(app.database, room.roomId))?.is_partial).toBe(false)
})

test.each([1, 120])(
  'what cannot be verified any more is left out of %i members, and holds up no room',
  async (count) => {
    const room = createRemoteRoom(app)
    const here = Array.from({ length: count }, (_, number) => `@user${number}:${REMOTE}` as UserId)
    for (const userId of here) room.member(userId, 'join')
    const gus = `@gus:${GONE}` as UserId
    const lost = room.member(gus, 'join')
    await room.joinPartially()
    app.answerWith(room.answer)
    await complete(room.roomId)
    expect(await findPartialRoom(app.database, room.roomId)).toBeUndefined()
    expect(Object.keys(await members(room.roomId)).sort()).toEqual([ALICE, BORIS, ...here].sort())
    expect(await stateIds(room.roomId)).toEqual(idsOf([...room.state.values()].filter((event) => event !== lost)))
  },
)

test('an event that no server has is not treated as one that cannot be verified', async () => {
  const room = createRemoteRoom(app)
  const lost = room.member(`@gus:${GONE}` as UserId, 'join')
  await room.joinPartially()
  app.answerWith((request) =>
    request.path.endsWith(`/event/${encodeURIComponent(lost.event_id)}`) ? undefined : room.answer(request),
  )
  await expect(complete(room.roomId)).rejects.toThrow('No server has the event')
})

test('events after a gap keep the states that a server gave for the gap', async () => {
  const room = createRemoteRoom(app)
  room.member(RITA, 'join')
  await room.joinPartially()
  const missed = room.make({ type: 'm.room.topic', state_key: '', content: { topic: 'missed' } })
  const between = room.make({ content: { body: 'after a gap' } })
  const next = room.make({ content: { body: 'after that' } })
  const answers = [...room.state.values()]
  let isStateTold = false
  app.answerWith((request) => {
    if (request.path.includes('/get_missing_events/')) return { events: [between.pdu] }
    // Served only with the state, so that it is not fetched for the gap.
    if (request.path.includes(`/event/${encodeURIComponent(missed.event_id)}`) && !isStateTold) return undefined
    if (request.path.includes('/state_ids/') && request.query?.event_id === missed.event_id) {
      isStateTold = true
      return { pdu_ids: answers.map(({ event_id }) => event_id), auth_chain_ids: [] }
    }
    return room.answer(request)
  })
  expect((await room.receive(next)).outcome).toBe('accepted')
  // It arrives late, after its successors.
  expect((await room.receive(missed)).outcome).toBe('accepted')
  await complete(room.roomId)
  expect(await stateIds(room.roomId)).toEqual(idsOf(room.state.values()))
  const ends = (await findRoomHead(app.database, room.roomId))?.forward_extremities
  expect(ends).toContain(next.event_id)
  expect(ends).not.toContain(missed.event_id)
})

test('servers that were not known to be in the room get the devices that changed during the resync', async () => {
  const room = createRemoteRoom(app)
  await room.joinPartially()
  app.answerWith(room.answer)
  const device = { user_id: ALICE, device_id: 'PHONE' }
  await app.database.write(async (tx) => {
    await sql`insert into devices (user_id, device_id, created_ts, last_seen_ts) values (${ALICE}, 'PHONE', 0, 0)
      on conflict do nothing`.execute(tx.sql)
    tx.streamRows.push({ kind: 'device_list', room_id: null, user_id: ALICE, ref: null, detail: 'device PHONE' })
    // A user of another server joined and left, both unknown to this server.
    await sql`update partial_rooms set servers = '{}' where room_id = ${room.roomId}`.execute(tx.sql)
  })
  await complete(room.roomId)
  const { rows } = await sql<{ destination: ServerName; content: string }>`select destination, content
    from federation_edus where edu_type = 'm.device_list_update'`.execute(app.database.sql)
  expect(rows.map(({ destination }) => destination)).toEqual([REMOTE])
  expect(JSON.parse(rows[0]!.content)).toMatchObject(device)
})
