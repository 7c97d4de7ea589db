import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseRoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { EventId, UserId } from '../../../core/ids.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, DEVICE, PEOPLE } from '../../../testing/reading-room.ts'
import { type ContextCommand, readContext } from './read-context.ts'
import { readEvent } from './read-event.ts'
import { readMessages } from './read-messages.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const around = (event: StoredEvent, userId: UserId, more: Partial<ContextCommand> = {}) =>
  readContext(app, { roomId: event.room_id, eventId: event.event_id, userId, deviceId: DEVICE, filter: {}, ...more })
const story = async (visibility?: string) => {
  const room = await createReadingRoom(app, visibility)
  const events = []
  for (const text of ['a', 'b', 'c', 'd', 'e', 'f']) events.push(await room.message(ALICE, text))
  return { room, events }
}
const bodies = (events: { content: { body?: unknown } }[]) => events.map((event) => event.content.body)

test('half of the limit is before the event, half after it, and the tokens go on from there', async () => {
  const { room, events } = await story()
  const context = await around(events[2]!, ALICE, { limit: 3 })
  expect(bodies(context.events_before)).toEqual(['b'])
  expect(context.event.event_id).toBe(events[2]!.event_id)
  expect(bodies(context.events_after)).toEqual(['d', 'e'])
  const page = { roomId: room.roomId, userId: ALICE, deviceId: DEVICE, filter: {}, limit: 1 }
  expect(bodies((await readMessages(app, { ...page, direction: 'backwards', from: context.start })).chunk)).toEqual([
    'a',
  ])
  expect(bodies((await readMessages(app, { ...page, direction: 'forwards', from: context.end })).chunk)).toEqual(['f'])
})

test('a limit of 0 gives the event alone', async () => {
  const { events } = await story()
  const context = await around(events[2]!, ALICE, { limit: 0 })
  expect([context.events_before, context.events_after]).toEqual([[], []])
  expect(context.event.content.body).toBe('c')
})

test('the state is that at the last event; the filter is applied to it, lazy loading included', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  await room.member(CAROL, 'join')
  await room.state('m.room.topic', { topic: 'then' })
  const event = await room.message(BOB, 'hi')
  await room.state('m.room.topic', { topic: 'now' })
  const keys = async (filter: object) =>
    (await around(event, ALICE, { limit: 0, filter: parseRoomEventFilter(filter) })).state.map(
      ({ type, state_key, content }) => (type === 'm.room.member' ? state_key : (content.topic ?? type)),
    )
  const rest = ['m.room.create', 'm.room.join_rules', 'm.room.power_levels', 'then']
  expect((await keys({})).sort()).toEqual([ALICE, BOB, CAROL, ...rest].sort())
  expect((await keys({ lazy_load_members: true })).sort()).toEqual([BOB, ...rest].sort())
  expect(await keys({ types: ['m.room.topic'] })).toEqual(['then'])
})

test('events that the user may not see are neither found nor around', async () => {
  const { room, events } = await story('joined')
  await room.member(BOB, 'join')
  const seen = await room.message(ALICE, 'seen')
  const context = await around(seen, BOB, { limit: 20 })
  expect(bodies(context.events_before)).not.toContain('f')
  await expect(around(events[0]!, BOB)).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
})

test.each([
  ['shared', 'M_NOT_FOUND'],
  ['world_readable', undefined],
])('a stranger asks for one event of a room that is %s: %s', async (visibility, errcode) => {
  const { room, events } = await story(visibility)
  const read = (userId: UserId, eventId = events[0]!.event_id) =>
    readEvent(app, { roomId: room.roomId, eventId, userId, deviceId: DEVICE })
  if (errcode) await expect(read(CAROL)).rejects.toMatchObject({ status: 404, errcode })
  else expect(await read(CAROL)).toMatchObject({ content: { body: 'a' } })
  expect(await read(ALICE)).toMatchObject({ content: { body: 'a' }, room_id: room.roomId })
  await expect(read(ALICE, '$none' as EventId)).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
})

test('an event is not found in another room than its own', async () => {
  const { events } = await story()
  const { room } = await story()
  const command = { roomId: room.roomId, eventId: events[0]!.event_id, userId: ALICE, deviceId: DEVICE }
  await expect(readEvent(app, command)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
})
