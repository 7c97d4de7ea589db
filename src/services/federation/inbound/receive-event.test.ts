import { afterAll, beforeAll, expect, test } from 'vitest'
import { ForbiddenError, InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRoomHead, noteBeginning } from '../../../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import {
  type AppWithRemote,
  BORIS,
  createAppWithRemote,
  createSharedRoom,
  REMOTE,
} from '../../../testing/remote-server.ts'
import { requireAllowedByAcl } from '../trust/check-server-acl.ts'
import { receiveEvent } from './receive-event.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

/** Creates a chain of messages by Boris. */
async function chain(room: Awaited<ReturnType<typeof createSharedRoom>>, length: number): Promise<Event[]> {
  const events: Event[] = []
  for (let count = 0; count < length; count++) {
    const last = events.at(-1)
    events.push(await room.make({ content: { body: `${count}` }, ...(last && { prev_events: [last.event_id] }) }))
  }
  return events
}

const isStored = async (event: Event) => {
  const [stored] = await loadEventsById(app.database, [event.event_id])
  return stored !== undefined && stored.event_order !== null
}

test('an invalid event of the room is refused', async () => {
  const room = await createSharedRoom(app)
  const event = await room.make()
  const forged = { ...event.pdu, content: { body: 'else' }, depth: 77 }
  await expect(receiveEvent(app, { origin: REMOTE, roomId: room.roomId, pdu: forged })).rejects.toThrow(
    InvalidParamError,
  )
  await expect(receiveEvent(app, { origin: REMOTE, roomId: '!no:x' as RoomId, pdu: event.pdu })).rejects.toThrow(
    NotFoundError,
  )
  expect((await room.receive(event)).outcome).toBe('accepted')
})

test('a gap is filled from the server that sent what comes after it', async () => {
  const room = await createSharedRoom(app)
  const events = await chain(room, 45)
  const place = new Map(events.map(({ event_id }, index) => [event_id, index]))
  app.answerWith(({ path, body }) => {
    if (!path.includes('/get_missing_events/')) return undefined
    const { latest_events, limit } = body as { latest_events: Event['event_id'][]; limit: number }
    const end = place.get(latest_events[0]!)!
    return { events: events.slice(Math.max(0, end - limit), end).map(({ pdu }) => pdu) }
  })
  expect((await room.receive(events.at(-1)!)).outcome).toBe('accepted')
  for (const event of events) expect(await isStored(event)).toBe(true)
  expect((await findRoomHead(app.database, room.roomId))?.forward_extremities).toEqual([events.at(-1)!.event_id])
})

test('an event after a gap for which no server returns events or state is not accepted', async () => {
  const room = await createSharedRoom(app)
  const [first, second] = (await chain(room, 2)) as [Event, Event]
  // By its depth, its prev event is not from before this server joined.
  await app.rooms.run(room.roomId, async (locked) => noteBeginning(locked, room.roomId, second.pdu.depth - 1))
  app.asked.length = 0
  app.answerWith(({ path }) => (path.includes('/get_missing_events/') ? { events: [] } : undefined))
  await expect(room.receive(second)).rejects.toThrow(FederationError)
  expect(app.asked.map(({ path, query }) => [path.split('/')[4], query?.event_id])).toEqual([
    ['get_missing_events', undefined],
    ['event', undefined],
    ['state_ids', first.event_id],
    ['state_ids', second.event_id],
  ])
})

/** get_missing_events gives useless responses: nothing, always the same, events of another room, or a refusal. */
test.each(['nothing', 'the event itself', 'a known event', 'a refusal'])(
  'a gap about which a server answers %s is filled event by event',
  async (what) => {
    const room = await createSharedRoom(app)
    const known = await room.make({ content: { body: 'known' } })
    await room.receive(known)
    const events = await chain(room, 4)
    const last = events.at(-1)!
    app.answerWith(({ path }) => {
      if (path.includes('/get_missing_events/')) {
        if (what === 'a refusal') return undefined
        return { events: what === 'nothing' ? [] : [(what === 'the event itself' ? last : known).pdu] }
      }
      const found = events.find(({ event_id }) => path.endsWith(`/event/${encodeURIComponent(event_id)}`))
      return found && { pdus: [found.pdu] }
    })
    expect((await room.receive(last)).outcome).toBe('accepted')
    for (const event of events) expect(await isStored(event)).toBe(true)
    expect((await findRoomHead(app.database, room.roomId))?.forward_extremities).toEqual([last.event_id])
  },
)

/** https://spec.matrix.org/v1.19/rooms/v6/#canonical-json */
test('an event after an invalid event is not accepted, and no further request is made', async () => {
  const room = await createSharedRoom(app)
  const [first, second, third] = (await chain(room, 3)) as [Event, Event, Event]
  const stateIds = await stateIdsOf(room.roomId)
  const invalid = { ...first.pdu, content: { body: 1.5 } }
  app.asked.length = 0
  app.answerWith(({ path }) => (path.includes('/get_missing_events/') ? { events: [invalid] } : undefined))
  await expect(room.receive(second)).rejects.toThrow('not valid')
  expect(app.asked).toHaveLength(1)
  // That does not exclude the server.
  app.answerWith(({ path, query }) => {
    if (path.includes('/get_missing_events/')) return { events: [invalid, second.pdu] }
    const isTold = path.includes('/state_ids/') && query?.event_id === second.event_id
    return isTold ? { pdu_ids: stateIds, auth_chain_ids: [] } : undefined
  })
  expect((await room.receive(third)).outcome).toBe('accepted')
})

test('a server that answers nothing about a gap, and has none of its events, is still heard by the state that it tells', async () => {
  const room = await createSharedRoom(app)
  const head = await findRoomHead(app.database, room.roomId)
  const stateIds = await stateIdsOf(room.roomId)
  const [, , third, fourth] = (await chain(room, 4)) as [Event, Event, Event, Event]
  app.answerWith(({ path, query }) => {
    if (path.includes('/get_missing_events/')) return { events: [] }
    const isTold = path.includes('/state_ids/') && query?.event_id === third.event_id
    return isTold ? { pdu_ids: stateIds, auth_chain_ids: [] } : undefined
  })
  expect((await room.receive(third)).outcome).toBe('accepted')
  // Its successors are received as usual.
  app.answerWith(() => undefined)
  expect((await room.receive(fourth)).outcome).toBe('accepted')
  const now = await findRoomHead(app.database, room.roomId)
  expect(now?.forward_extremities).toContain(fourth.event_id)
  expect(now?.state_root).toBe(head?.state_root)
})

test('of an event with more unknown predecessors than states are fetched for, the state before it is taken', async () => {
  const room = await createSharedRoom(app)
  const stateIds = await stateIdsOf(room.roomId)
  const prev_events = Array.from({ length: 20 }, (_, place) => `$unknown${place}` as Event['event_id'])
  const event = await room.make({ content: { body: 'wide' }, prev_events })
  app.asked.length = 0
  app.answerWith(({ path, query }) => {
    if (path.includes('/get_missing_events/')) return { events: [] }
    const isTold = path.includes('/state_ids/') && query?.event_id === event.event_id
    return isTold ? { pdu_ids: stateIds, auth_chain_ids: [] } : undefined
  })
  expect((await room.receive(event)).outcome).toBe('accepted')
  expect(app.asked.filter(({ path }) => path.includes('/state_ids/'))).toHaveLength(1)
})

test('before what a server does not tell of a gap, the state is taken from it', async () => {
  const room = await createSharedRoom(app)
  const name = await room.make({ type: 'm.room.topic', state_key: '', content: { topic: 'fine' }, sender: BORIS })
  const lost = await room.make({ content: { body: 'lost' }, prev_events: [name.event_id] })
  const missed = await room.make({ content: { body: 'missed' }, prev_events: [lost.event_id] })
  const last = await room.make({ content: { body: 'last' }, prev_events: [missed.event_id] })
  const head = await findRoomHead(app.database, room.roomId)
  const stateIds = await stateIdsOf(room.roomId)
  app.answerWith(({ path, body, query }) => {
    const latest = (body as { latest_events?: string[] } | undefined)?.latest_events?.[0]
    if (path.includes('/get_missing_events/')) return { events: latest === last.event_id ? [missed.pdu] : [] }
    const isTold = path.includes('/state_ids/') && query?.event_id === missed.event_id
    return isTold ? { pdu_ids: stateIds, auth_chain_ids: [] } : undefined
  })
  expect((await room.receive(last)).outcome).toBe('accepted')
  expect(await isStored(missed)).toBe(true)
  expect(await isStored(lost)).toBe(false)
  const now = await findRoomHead(app.database, room.roomId)
  expect(now?.forward_extremities).toContain(last.event_id)
  expect(now?.state_root).toBe(head?.state_root)
  // A late event is shown, but changes nothing.
  app.answerWith(() => undefined)
  await room.receive(name)
  expect((await room.receive(lost)).outcome).toBe('accepted')
  expect((await findRoomHead(app.database, room.roomId))?.forward_extremities).not.toContain(lost.event_id)
})

test('history of before this server came into the room is not taken for a fork', async () => {
  const room = await createSharedRoom(app)
  const old = await room.make({ content: { body: 'old' }, prev_events: ['$older' as Event['event_id']] })
  const next = await room.make({ content: { body: 'next' }, prev_events: [old.event_id] })
  const minDepth = old.pdu.depth + 1
  await app.rooms.run(room.roomId, async (locked) => noteBeginning(locked, room.roomId, minDepth))
  const before = await findRoomHead(app.database, room.roomId)
  const stateIds = await stateIdsOf(room.roomId)
  app.asked.length = 0
  app.answerWith(({ path }) => {
    // It ignores min_depth.
    if (path.includes('/get_missing_events/')) return { events: [old.pdu] }
    if (path.includes('/state_ids/')) return { pdu_ids: stateIds, auth_chain_ids: [] }
    return path.includes(`/event/${encodeURIComponent(old.event_id)}`) ? { pdus: [old.pdu] } : undefined
  })
  expect((await room.receive(next)).outcome).toBe('accepted')
  expect(app.asked[0]?.body).toMatchObject({ min_depth: minDepth })
  expect(await isStored(old)).toBe(false)
  const now = await findRoomHead(app.database, room.roomId)
  expect(now?.forward_extremities).toEqual([...before!.forward_extremities, next.event_id])
})

async function stateIdsOf(roomId: RoomId) {
  const head = await findRoomHead(app.database, roomId)
  return (await readAllState(app.database, head!.state_root)).map(({ event_id }) => event_id)
}

test('an ACL keeps servers out', async () => {
  const room = await createSharedRoom(app)
  await expect(requireAllowedByAcl(app, room.roomId, REMOTE)).resolves.toBeUndefined()
  await room.state('m.room.server_acl', { allow: ['*'], deny: [REMOTE] }, ALICE)
  await expect(requireAllowedByAcl(app, room.roomId, REMOTE)).rejects.toThrow(ForbiddenError)
  await expect(requireAllowedByAcl(app, room.roomId, 'else' as ServerName)).resolves.toBeUndefined()
})
