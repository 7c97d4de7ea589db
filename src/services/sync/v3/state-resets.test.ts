import { afterAll, beforeAll, expect, test } from 'vitest'
import { authEventKeys } from '../../../core/auth-rules/auth-event-keys.ts'
import type { EventId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { testEvent } from '../../../testing/auth-rules/test-event.ts'
import { createTestApp, START, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { clientOf, named } from '../../../testing/sync-client.ts'
import { appendRemoteEvent } from '../../rooms/timeline/append-remote-event.ts'

const BORIS = '@boris:remote' as UserId
const version = ROOM_VERSIONS.get('12')!
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

let count = 0

/** Creates a room in which Boris of another server has power, and the point at which it forks. */
async function createForkedRoom() {
  const room = await createReadingRoom(app)
  const add = (event: ReturnType<typeof testEvent>) =>
    app.rooms.run(room.roomId, (locked) => appendRemoteEvent(app, locked, event))

  /**
   * Sends an event of Boris's server that follows some events and is authorized by the state after the first of them.
   */
  const send = async (
    after: readonly StoredEvent[],
    fields: { type: string; state_key?: string; content: JsonObject; origin_server_ts?: number },
  ) => {
    const sender = { sender: BORIS, ...fields }
    const keys = authEventKeys(version, sender)
    const auth = await readStateEvents(app.database, after[0]!.state_after!, keys)
    const event = testEvent({
      origin_server_ts: START,
      ...sender,
      event_id: `$boris${count++}`,
      room_id: room.roomId,
      prev_events: after.map(({ event_id }) => event_id),
      auth_events: auth.flatMap((found) => found?.event_id ?? []) as EventId[],
      depth: 100 + count,
    })
    return add(event)
  }
  const topic = await room.state('m.room.topic', { topic: 'first' })
  const { event } = await send([topic], { type: 'm.room.member', state_key: BORIS, content: { membership: 'join' } })
  const fork = await room.state('m.room.power_levels', { users: { [BORIS]: 100 }, users_default: 0 })
  return { ...room, send, fork, joined: event }
}

test('a user whom state resolution removes gets the leave, and the members get it too', async () => {
  const room = await createForkedRoom()
  await room.member(BOB, 'join')
  const left = await room.member(BOB, 'leave')
  const fork = await room.message(ALICE, 'here it forks')
  await room.member(BOB, 'join')
  await room.member(CAROL, 'join')
  const [alice, bob, carol] = [clientOf(app, ALICE), clientOf(app, BOB), clientOf(app, CAROL)]
  for (const client of [alice, bob, carol]) await client.sync()

  // On the other branch the room had been closed before they joined.
  const content = { join_rule: 'invite' }
  expect((await room.send([fork], { type: 'm.room.join_rules', state_key: '', content })).outcome).toBe('accepted')
  const ofBob = (await bob.sync()).rooms
  expect(ofBob.join).toBeUndefined()
  // At its place in the graph they were not in the room, so it is not part of their timeline.
  const { state, timeline } = ofBob.leave[room.roomId]
  expect(named(state.events)).toEqual(['m.room.join_rules', `m.room.member/${BOB}`])
  expect(state.events[1].event_id).toBe(left.event_id)
  expect(timeline.events).toEqual([])
  const ofCarol = (await carol.sync()).rooms
  expect(ofCarol.join).toBeUndefined()
  expect(ofCarol.leave).toHaveProperty([room.roomId])

  const seen = (await alice.sync()).rooms.join[room.roomId]
  expect(named(seen.timeline.events)).toEqual(['m.room.join_rules'])
  expect(named(seen.state.events)).toEqual([`m.room.member/${BOB}`])
  expect(seen.summary['m.joined_member_count']).toBe(2)
  // They get nothing of the room any more.
  await room.message(ALICE, 'among ourselves')
  for (const client of [bob, carol]) expect((await client.sync()).rooms?.join).toBeUndefined()
  expect((await clientOf(app, CAROL).sync()).rooms?.join ?? {}).not.toHaveProperty([room.roomId])
})

test('a state event that loses against another branch does not leave clients with what it says', async () => {
  const room = await createForkedRoom()
  const [classic, modern] = [clientOf(app, ALICE), clientOf(app, ALICE)]
  await classic.sync()
  await modern.sync({ stateAfter: 'state_after' })
  const late = { type: 'm.room.topic', state_key: '', content: { topic: 'late' }, origin_server_ts: START + 9_000_000 }
  const winner = await room.send([room.fork], late)
  await classic.sync()
  await modern.sync({ stateAfter: 'state_after' })
  // Older by its clock, so the later one wins.
  const loser = { ...late, content: { topic: 'early' }, origin_server_ts: START + 1 }
  expect((await room.send([room.fork], loser)).outcome).toBe('accepted')
  await room.message(ALICE, 'after')

  const after = (await modern.sync({ stateAfter: 'state_after' })).rooms.join[room.roomId]
  expect(after.state_after.events).toEqual([])
  const { state, timeline } = (await classic.sync()).rooms.join[room.roomId]
  const told = [...state.events, ...timeline.events].filter(({ type }) => type === 'm.room.topic')
  expect(told.filter(({ event_id }) => event_id !== winner.event.event_id)).toEqual([])
  expect(timeline.limited).toBe(true)
})

test('a name change that loses state resolution is still sent, since withholding it would leave a gap', async () => {
  const room = await createForkedRoom()
  const alice = clientOf(app, ALICE)
  await alice.sync()
  const renaming = (displayname: string, origin_server_ts: number) => ({
    ...{ type: 'm.room.member', state_key: BORIS, origin_server_ts },
    content: { membership: 'join', displayname },
  })
  await room.send([room.fork], renaming('late', START + 9_000_000))
  await alice.sync()
  const { event: loser } = await room.send([room.fork], renaming('early', START + 1))
  const { timeline } = (await alice.sync()).rooms.join[room.roomId]
  expect(timeline.events).toMatchObject([{ event_id: loser.event_id }])
  expect(timeline.limited).toBe(false)
})
