import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import { checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import { stateKeyId } from '../../../core/state-resolution/state-map.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { storeOutliers } from '../../../storage/rooms/timeline/outliers.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import { testEvent } from '../../../testing/auth-rules/test-event.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import { PEOPLE } from '../../../testing/reading-room.ts'
import { oracle } from '../../../testing/state-resolution/test-oracle.ts'
import { actions, play } from '../../../testing/state-resolution/test-random-room.ts'
import { appendRemoteEvent, MissingEventsError, type RemoteOutcome } from './append-remote-event.ts'
import { changeLockedState } from './change-locked-state.ts'

const app = await createTestApp({ users: PEOPLE })
afterAll(() => app.close())

/**
 * The first events of a random room, the create event and its creator's member: with these this server gets the room.
 */
const FOUNDING = 2
let rooms = 0

/** Gives the events unique IDs, since many rooms share the database. */
function renamed(events: Iterable<Event>): Event[] {
  const suffix = `x${rooms++}`
  const text = JSON.stringify([...events])
    .replaceAll(/\$(\d{4})/g, `$$$1${suffix}`)
    .replaceAll('!room:a', `!room${suffix}:a`)
    .replaceAll('!0000', `!0000${suffix}`)
  return JSON.parse(text) as Event[]
}

async function joinWith(version: RoomVersion, founding: readonly Event[]): Promise<RoomId> {
  const roomId = founding.at(-1)!.room_id
  const state = founding.slice(0, -1)
  const stored = await app.database.write((tx) => storeOutliers(tx, app.takeNids, state))
  await app.rooms.run(roomId, async (room) => {
    const changes = state.map(({ event_id, pdu }) => ({
      type: pdu.type,
      state_key: pdu.state_key!,
      event_nid: stored.get(event_id)!.event_nid,
    }))
    const stateBefore = await changeLockedState(app, room, { root: 0, changes })
    const { outcome } = await appendRemoteEvent(app, room, founding.at(-1)!, { stateBefore, newRoom: { version } })
    expect(outcome).toBe('accepted')
  })
  return roomId
}

function deliver(roomId: RoomId, event: Event): Promise<RemoteOutcome> {
  return app.rooms.run(roomId, (room) => appendRemoteEvent(app, room, event))
}

/** Returns a random order in which each event comes after those that it references. */
function shuffled(events: readonly Event[], known: ReadonlySet<EventId>, draws: readonly number[]): Event[] {
  const order: Event[] = []
  const here = new Set(known)
  const waiting = [...events]
  while (waiting.length > 0) {
    const ready = waiting.filter((event) =>
      [...event.prev_event_ids, ...event.auth_event_ids].every((id) => here.has(id)),
    )
    const next = ready[draws[order.length % draws.length]! % ready.length]!
    order.push(next)
    here.add(next.event_id)
    waiting.splice(waiting.indexOf(next), 1)
  }
  return order
}

/** Creates a message of Alice whose prev events are all forward extremities. */
function mergeOf(
  version: RoomVersion,
  events: ReadonlyMap<EventId, Event>,
): { merge: Event; state: Map<string, EventId> } {
  const followed = new Set([...events.values()].flatMap((event) => event.prev_event_ids))
  const tips = [...events.values()].filter(({ event_id }) => !followed.has(event_id))
  const stateAfter = new Map<EventId, ReadonlyMap<string, EventId>>()
  for (const event of events.values()) {
    const before = oracle(
      { version, events: new Map(events) },
      event.prev_event_ids.map((id) => stateAfter.get(id)!),
    )
    const after = new Map(before)
    if (event.pdu.state_key !== undefined) after.set(stateKeyId(event.pdu.type, event.pdu.state_key), event.event_id)
    stateAfter.set(event.event_id, after)
  }
  const state = new Map(
    oracle(
      { version, events: new Map(events) },
      tips.map(({ event_id }) => stateAfter.get(event_id)!),
    ),
  )
  const keys = ['m.room.create', 'm.room.power_levels']
    .map((type) => stateKeyId(type, ''))
    .concat(stateKeyId('m.room.member', '@alice:a'))
  const auth = keys.flatMap((key) => state.get(key) ?? [])
  const cited = version.roomIdIsCreateHash ? auth.slice(1) : auth
  const merge = testEvent({
    event_id: tips[0]!.event_id.replace(/\$\d{4}/, '$$9999'),
    room_id: tips[0]!.room_id,
    type: 'm.room.message',
    prev_events: tips.map(({ event_id }) => event_id),
    auth_events: cited,
    depth: 1000,
  })
  return { merge, state }
}

async function currentState(roomId: RoomId): Promise<Map<string, EventId>> {
  const head = await findRoomHead(app.database, roomId)
  const events = await readAllState(app.database, head!.state_root)
  return new Map(events.map(({ pdu, event_id }) => [stateKeyId(pdu.type, pdu.state_key!), event_id]))
}

async function checkTables(roomId: RoomId): Promise<void> {
  const state = await currentState(roomId)
  const { rows } = await sql<{
    user_id: string
    event_id: EventId
    membership: string
  }>`select user_id, event_id, membership
    from room_memberships join events using (event_nid) where room_memberships.room_id = ${roomId}`.execute(
    app.database.sql,
  )
  const members = [...state].filter(([key]) => key.startsWith('m.room.member\0'))
  expect(new Map(rows.map((row) => [stateKeyId('m.room.member', row.user_id), row.event_id]))).toEqual(new Map(members))
  const summary = await sql<{
    joined_members: number
    join_rule: string | null
  }>`select joined_members, join_rule from rooms
    where room_id = ${roomId}`.execute(app.database.sql)
  expect(summary.rows[0]?.joined_members).toBe(rows.filter(({ membership }) => membership === 'join').length)
}

const draws = fc.array(fc.nat(50), { minLength: 8, maxLength: 40 })

test.each(['1', '6', '12'])(
  'in whatever order the events of a forked room of version %s arrive, its state is the same',
  async (id) => {
    const version = ROOM_VERSIONS.get(id)!
    const orders = fc.array(draws, { minLength: 3, maxLength: 3 })
    let merged = 0
    await fc.assert(
      fc.asyncProperty(actions, orders, async (history, choices) => {
        const played = play(
          version,
          history.map((action) => ({ ...action, isRejected: false })),
        )
        for (const choice of choices) {
          const events = new Map(renamed(played.events.values()).map((event) => [event.event_id, event]))
          const { merge, state } = mergeOf(version, events)
          const [create] = events.values()
          if ([...events.values()].slice(FOUNDING).some((event) => event.prev_event_ids.includes(create!.event_id)))
            return
          const get = (type: string, key: string) => events.get(state.get(stateKeyId(type, key))!)
          if (!checkEventAuth(version, merge, { get }).allowed) return
          const founding = [...events.values()].slice(0, FOUNDING)
          const roomId = await joinWith(version, founding)
          const known = new Set(founding.map(({ event_id }) => event_id))
          for (const event of shuffled([...events.values()].slice(FOUNDING), known, choice)) {
            const { outcome } = await deliver(roomId, event)
            expect(outcome).not.toBe('rejected')
          }
          await checkTables(roomId)
          const { outcome } = await deliver(roomId, merge)
          if (outcome !== 'accepted') continue
          merged++
          expect(await currentState(roomId)).toEqual(state)
          await checkTables(roomId)
          expect((await findRoomHead(app.database, roomId))!.forward_extremities).toEqual([merge.event_id])
        }
      }),
      { numRuns: 12, seed: 7 },
    )
    expect(merged).toBeGreaterThan(10)
  },
  120_000,
)

const V6 = ROOM_VERSIONS.get('6')!

/** Creates a room of version 6 with Alice and Bob, and the auth events of its next events. */
async function smallRoom() {
  const history = play(V6, [])
  const events = renamed(history.events.values())
  const roomId = await joinWith(V6, events.slice(0, FOUNDING))
  for (const event of events.slice(FOUNDING)) await deliver(roomId, event)
  const [create, alice, levels] = events.map(({ event_id }) => event_id) as [EventId, EventId, EventId]
  const auth = { create, alice, levels, bob: events[4]!.event_id, carol: events[5]!.event_id }
  const say = (name: string, fields: Partial<Parameters<typeof testEvent>[0]> = {}) =>
    testEvent({
      event_id: events[5]!.event_id.replace(/\$\d{4}/, `$$${name}`),
      room_id: roomId,
      type: 'm.room.message',
      content: { body: name },
      prev_events: [events[5]!.event_id],
      auth_events: [create, levels, alice],
      depth: 10,
      ...fields,
    })
  return { roomId, auth, say, last: events[5]! }
}

test('an event whose predecessors are not here changes nothing, and says which they are', async () => {
  const { roomId, say } = await smallRoom()
  const first = say('first')
  const second = say('second', { prev_events: [first.event_id] })
  await expect(deliver(roomId, second)).rejects.toThrow(new MissingEventsError([first.event_id], []))
  await deliver(roomId, first)
  expect((await deliver(roomId, second)).outcome).toBe('accepted')
  expect((await deliver(roomId, second)).outcome).toBe('known')
})

test('an outlier that arrives in the timeline gets its place there, under the nid that states know it by', async () => {
  const { roomId, say } = await smallRoom()
  const event = say('outlier')
  const outliers = await app.database.write((tx) => storeOutliers(tx, app.takeNids, [event]))
  const delivered = await deliver(roomId, event)
  expect(delivered).toMatchObject({
    outcome: 'accepted',
    event: { event_nid: outliers.get(event.event_id)?.event_nid },
  })
  const [stored] = await loadEventsById(app.database, [event.event_id])
  expect(stored).toMatchObject({ event_order: delivered.event.event_order, state_before: expect.any(Number) })
})

test('the target of a redaction is redacted, whichever of them arrives first', async () => {
  const { roomId, say } = await smallRoom()
  const said = say('said')
  const redaction = say('redaction', { type: 'm.room.redaction', content: {}, redacts: said.event_id })
  await deliver(roomId, redaction)
  await deliver(roomId, said)
  const [early] = await loadEventsById(app.database, [said.event_id])
  expect(early).toMatchObject({ redacted_by: redaction.event_id, pdu: { content: {} } })
  const later = say('later')
  await deliver(roomId, later)
  await deliver(roomId, say('redaction2', { type: 'm.room.redaction', content: {}, redacts: later.event_id }))
  expect((await loadEventsById(app.database, [later.event_id]))[0]!.pdu.content).toEqual({})
})

test('an event that only the current state forbids is kept out of sight and out of the current state', async () => {
  const { roomId, say, auth, last } = await smallRoom()
  const ban = say('ban', {
    type: 'm.room.member',
    state_key: '@carol:c',
    content: { membership: 'ban' },
    auth_events: [auth.create, auth.levels, auth.alice, auth.carol],
  })
  expect((await deliver(roomId, ban)).outcome).toBe('accepted')
  const byCarol = { sender: '@carol:c', auth_events: [auth.create, auth.levels, auth.carol] }
  const evasion = say('evasion', { ...byCarol, type: 'm.room.message', prev_events: [last.event_id] })
  expect((await deliver(roomId, evasion)).outcome).toBe('soft-failed')
  expect((await deliver(roomId, say('after', { ...byCarol, prev_events: [ban.event_id] }))).outcome).toBe('rejected')
  expect((await findRoomHead(app.database, roomId))!.forward_extremities).toEqual([ban.event_id])
  // Its successor counts nevertheless, and replaces the extremities before the soft-failed event.
  const merge = say('merge', { prev_events: [evasion.event_id, ban.event_id] })
  expect((await deliver(roomId, merge)).outcome).toBe('accepted')
  expect((await findRoomHead(app.database, roomId))!.forward_extremities).toEqual([merge.event_id])
})
