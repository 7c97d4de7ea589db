import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { bodies, clientOf, named } from '../../../testing/sync-client.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const LAZY = { room: { state: { lazy_load_members: true }, timeline: { limit: 2 } } }
const members = (events: { type: string; state_key?: string }[]) =>
  events.flatMap((event) => (event.type === 'm.room.member' ? event.state_key : [])).sort()

/** Creates a room of three, in which Carol sent no message. */
async function createBusyRoom() {
  const room = await createReadingRoom(app)
  await room.state('m.room.name', { name: 'a name, so that nobody is a hero' })
  await room.member(BOB, 'join')
  await room.member(CAROL, 'join')
  await room.message(ALICE, 'hello')
  await room.message(BOB, 'hello')
  return room
}

describe('lazily loaded members', () => {
  test('are the senders of the timeline and the user', async () => {
    const room = await createBusyRoom()
    await room.message(BOB, 'again')
    const told = (await clientOf(app, ALICE, { filter: LAZY }).sync()).rooms.join[room.roomId]
    expect(members(told.state.events)).toEqual([ALICE, BOB])
    expect(named(told.state.events)).toContain('m.room.create')
  })

  test('include the heroes of a room without a name', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    for (const body of ['1', '2', '3']) await room.message(ALICE, body)
    const told = (await clientOf(app, ALICE, { filter: LAZY }).sync()).rooms.join[room.roomId]
    expect(told.summary['m.heroes']).toEqual([BOB])
    expect(members(told.state.events)).toEqual([ALICE, BOB])
  })

  test('come when somebody speaks whom the client may not know', async () => {
    const room = await createBusyRoom()
    const client = clientOf(app, ALICE, { filter: LAZY })
    await client.sync()
    await room.message(CAROL, 'my first words')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(members(told.state.events)).toEqual([CAROL])
  })

  test('include all changes of a gap', async () => {
    const room = await createBusyRoom()
    const client = clientOf(app, ALICE, { filter: LAZY })
    await client.sync()
    await room.member(CAROL, 'leave')
    for (const body of ['1', '2', '3']) await room.message(BOB, body)
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(told.timeline.limited).toBe(true)
    expect(members(told.state.events)).toEqual([BOB, CAROL])
  })

  test('do not repeat what the timeline tells', async () => {
    const room = await createReadingRoom(app)
    const client = clientOf(app, ALICE, { filter: LAZY })
    await client.sync()
    await room.member(BOB, 'join')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(named(told.timeline.events)).toEqual([`m.room.member/${BOB}`])
    expect(members(told.state.events)).toEqual([])
  })
})

describe('state', () => {
  test('is as before the timeline, whose events change it', async () => {
    const room = await createReadingRoom(app)
    await room.state('m.room.topic', { topic: 'old' })
    for (const body of ['1', '2']) await room.message(ALICE, body)
    await room.state('m.room.topic', { topic: 'new' })
    const told = (await clientOf(app, ALICE, { filter: { room: { timeline: { limit: 2 } } } }).sync()).rooms.join[
      room.roomId
    ]
    const topic = told.state.events.find(({ type }: { type: string }) => type === 'm.room.topic')
    expect(topic.content).toEqual({ topic: 'old' })
    expect(told.timeline.events.at(-1).content).toEqual({ topic: 'new' })
    expect(told.timeline.events.at(-1).unsigned.prev_content).toEqual({ topic: 'old' })
  })

  test.each(['state_after', 'org.matrix.msc4222.state_after'] as const)(
    'under the name %s is as after the timeline',
    async (stateAfter) => {
      const room = await createReadingRoom(app)
      const client = clientOf(app, ALICE, { filter: { room: { timeline: { limit: 1 } } } })
      const initial = (await client.sync({ stateAfter })).rooms.join[room.roomId]
      expect(initial).not.toHaveProperty('state')
      expect(initial[stateAfter].events).toHaveLength(4)
      await room.state('m.room.topic', { topic: 'in the gap' })
      await room.message(ALICE, 'between')
      await room.state('m.room.topic', { topic: 'in the timeline' })
      const told = (await client.sync({ stateAfter })).rooms.join[room.roomId]
      expect(named(told.timeline.events)).toEqual(['m.room.topic'])
      expect(told[stateAfter].events).toMatchObject([{ type: 'm.room.topic', content: { topic: 'in the timeline' } }])
      expect(told).not.toHaveProperty('state')
      await room.message(ALICE, 'nothing changed')
      expect((await client.sync({ stateAfter })).rooms.join[room.roomId][stateAfter]).toEqual({ events: [] })
    },
  )

  test('that the timeline leaves out by its filter is told all the same', async () => {
    const room = await createReadingRoom(app)
    const client = clientOf(app, ALICE, { filter: { room: { timeline: { types: ['m.room.message'] } } } })
    await client.sync()
    await room.message(ALICE, 'before')
    await room.state('m.room.topic', { topic: 'unseen in the timeline' })
    await room.message(ALICE, 'after')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(bodies(told.timeline.events)).toEqual(['before', 'after'])
    expect(named(told.state.events)).toEqual(['m.room.topic'])
  })

  test('passes the filter for state', async () => {
    const room = await createReadingRoom(app)
    await room.message(ALICE, 'x')
    const filter = { room: { timeline: { limit: 1 }, state: { not_types: ['m.room.member'] } } }
    const told = (await clientOf(app, ALICE, { filter }).sync()).rooms.join[room.roomId]
    expect(named(told.state.events).sort()).toEqual(['m.room.create', 'm.room.join_rules', 'm.room.power_levels'])
  })
})

describe('the summary', () => {
  test('comes when members change, with those who are there and those who were', async () => {
    const room = await createReadingRoom(app)
    const client = clientOf(app, ALICE)
    await client.sync()
    const summary = async () => (await client.sync()).rooms.join[room.roomId].summary
    await room.member(BOB, 'invite', ALICE)
    expect(await summary()).toEqual({ 'm.heroes': [BOB], 'm.joined_member_count': 1, 'm.invited_member_count': 1 })
    await room.member(BOB, 'join')
    expect(await summary()).toEqual({ 'm.heroes': [BOB], 'm.joined_member_count': 2, 'm.invited_member_count': 0 })
    await room.member(BOB, 'leave')
    expect(await summary()).toEqual({ 'm.heroes': [BOB], 'm.joined_member_count': 1, 'm.invited_member_count': 0 })
    await room.message(ALICE, 'no news')
    expect(await summary()).toBeUndefined()
    await room.state('m.room.name', { name: 'a name' })
    expect(await summary()).toEqual({ 'm.joined_member_count': 1, 'm.invited_member_count': 0 })
  })

  test('names five others at most, never the user', async () => {
    const room = await createReadingRoom(app)
    const others = Array.from({ length: 7 }, (_, i) => `@other${i}:hearth.test` as UserId)
    for (const other of others) await room.member(other, 'join')
    const { summary } = (await clientOf(app, ALICE).sync()).rooms.join[room.roomId]
    expect(summary['m.heroes']).toEqual(others.slice(0, 5))
  })
})
