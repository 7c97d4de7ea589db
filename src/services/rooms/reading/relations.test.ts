import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { storeAccountData } from '../../../storage/users/account-data.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import {
  ALICE,
  BOB,
  CAROL,
  createReadingRoom,
  DEVICE,
  PEOPLE,
  type ReadingRoom,
} from '../../../testing/reading-room.ts'
import { findEventAtTime } from './event-at-time.ts'
import { type RelationsCommand, readRelations } from './relations.ts'
import { readThreads, type ThreadsCommand } from './threads.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const read = (parent: StoredEvent, more: Partial<RelationsCommand> = {}) =>
  readRelations(app, {
    roomId: parent.room_id,
    eventId: parent.event_id,
    userId: ALICE,
    deviceId: DEVICE,
    direction: 'backwards',
    ...more,
  })
const ids = (events: readonly { event_id: string }[]) => events.map((event) => event.event_id)
const ignore = (userId: UserId, ignored: UserId) => {
  const content = JSON.stringify({ ignored_users: { [ignored]: {} } })
  return app.database.write((tx) => storeAccountData(tx, userId, { roomId: '', type: 'm.ignored_user_list', content }))
}

describe('relations', () => {
  test('are found by their type and event type, newest first', async () => {
    const room = await createReadingRoom(app)
    const root = await room.message(ALICE, 'root')
    const reply = await room.relate(ALICE, 'm.thread', root.event_id)
    const edit = await room.relate(ALICE, 'm.replace', root.event_id)
    const other = await room.state('m.odd', { 'm.relates_to': { rel_type: 'm.thread', event_id: root.event_id } })
    expect(ids((await read(root)).chunk)).toEqual(ids([other, edit, reply]))
    expect(ids((await read(root, { relType: 'm.thread' })).chunk)).toEqual(ids([other, reply]))
    expect(ids((await read(root, { relType: 'm.thread', eventType: 'm.room.message' })).chunk)).toEqual(ids([reply]))
    expect(await read(reply)).toEqual({ chunk: [] })
  })

  test('come in pages in both directions', async () => {
    const room = await createReadingRoom(app)
    const root = await room.message(ALICE, 'root')
    const replies: StoredEvent[] = []
    for (let i = 0; i < 5; i++) replies.push(await room.relate(ALICE, 'm.thread', root.event_id))
    for (const direction of ['forwards', 'backwards'] as const) {
      const first = await read(root, { direction, limit: 3 })
      const second = await read(root, { direction, limit: 3, from: first.next_batch })
      expect(first).not.toHaveProperty('prev_batch')
      expect(second).not.toHaveProperty('next_batch')
      expect(second.prev_batch).toBe(first.next_batch)
      const all = direction === 'forwards' ? replies : replies.toReversed()
      expect(ids([...first.chunk, ...second.chunk])).toEqual(ids(all))
      expect(ids((await read(root, { direction, to: first.next_batch })).chunk)).toEqual(ids(first.chunk))
    }
  })

  test('are followed three steps on request, whatever is filtered out of what is found', async () => {
    const room = await createReadingRoom(app)
    const root = await room.message(ALICE, 'root')
    const chain = [root]
    for (let i = 0; i < 4; i++)
      chain.push(await room.relate(ALICE, i === 1 ? 'm.annotation' : 'm.reference', chain.at(-1)!.event_id))
    expect(await read(root)).not.toHaveProperty('recursion_depth')
    const recursive = await read(root, { recurse: true, direction: 'forwards' })
    expect(recursive.recursion_depth).toBe(3)
    expect(ids(recursive.chunk)).toEqual(ids(chain.slice(1, 4)))
    expect(ids((await read(root, { recurse: true, relType: 'm.reference' })).chunk)).toEqual(
      ids([chain[3]!, chain[1]!]),
    )
  })

  test('of events that the user may not see are not found; hidden and ignored ones are left out', async () => {
    const room = await createReadingRoom(app, 'joined')
    await room.member(BOB, 'join')
    const root = await room.message(ALICE, 'root')
    const seen = await room.relate(ALICE, 'm.reference', root.event_id)
    await room.relate(BOB, 'm.reference', root.event_id)
    await expect(read(root, { userId: CAROL })).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await room.member(CAROL, 'join')
    await expect(read(root, { userId: CAROL })).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await ignore(ALICE, BOB)
    expect(ids((await read(root)).chunk)).toEqual(ids([seen]))
    await room.member(BOB, 'leave')
    await room.relate(ALICE, 'm.reference', root.event_id)
    expect((await read(root, { userId: BOB })).chunk).toHaveLength(2)
    await ignore(ALICE, ALICE)
  })

  test('of a redacted child are none', async () => {
    const room = await createReadingRoom(app)
    const root = await room.message(ALICE, 'root')
    const reply = await room.relate(ALICE, 'm.thread', root.event_id)
    await room.redact(ALICE, reply.event_id)
    expect((await read(root)).chunk).toEqual([])
  })
})

describe('threads', () => {
  const threads = (room: ReadingRoom, more: Partial<ThreadsCommand> = {}) =>
    readThreads(app, { roomId: room.roomId, userId: ALICE, deviceId: DEVICE, include: 'all', ...more })

  test('are listed by their newest event, in pages', async () => {
    const room = await createReadingRoom(app)
    const roots = [await room.message(ALICE, '1'), await room.message(ALICE, '2'), await room.message(ALICE, '3')]
    const [one, two, three] = roots as [StoredEvent, StoredEvent, StoredEvent]
    for (const root of [three, one, two, one]) await room.relate(ALICE, 'm.thread', root.event_id)
    expect(ids((await threads(room)).chunk)).toEqual(ids([one, two, three]))
    const first = await threads(room, { limit: 2 })
    expect(ids(first.chunk)).toEqual(ids([one, two]))
    expect(first.chunk[0]!.unsigned!['m.relations']).toMatchObject({ 'm.thread': { count: 2 } })
    const second = await threads(room, { limit: 2, from: first.next_batch })
    expect(ids(second.chunk)).toEqual(ids([three]))
    expect(second).not.toHaveProperty('next_batch')
    await expect(threads(room, { from: 'x' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
    await expect(threads(room, { userId: CAROL })).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  })

  test('that the user has started or replied in are the participated ones', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const [mine, his, both] = [
      await room.message(ALICE, 'mine'),
      await room.message(BOB, 'his'),
      await room.message(BOB, 'both'),
    ]
    for (const root of [mine, his, both]) await room.relate(BOB, 'm.thread', root.event_id)
    await room.relate(ALICE, 'm.thread', both.event_id)
    expect(ids((await threads(room, { userId: BOB, include: 'participated' })).chunk)).toEqual(ids([both, his, mine]))
    expect(ids((await threads(room, { include: 'participated' })).chunk)).toEqual(ids([both, mine]))
  })

  test('of an ignored user have an emptied root, and their replies do not count', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const [his, mine] = [await room.message(BOB, 'his'), await room.message(ALICE, 'mine')]
    await room.relate(ALICE, 'm.thread', his.event_id)
    await room.relate(BOB, 'm.thread', mine.event_id)
    await ignore(ALICE, BOB)
    expect((await threads(room)).chunk).toMatchObject([
      { event_id: his.event_id, content: {}, unsigned: { 'm.relations': {} } },
    ])
    expect((await threads(room)).chunk[0]!.content).toEqual({})
    await ignore(ALICE, ALICE)
  })

  test('are read by who has left as they were then', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const root = await room.message(ALICE, 'root')
    const seen = await room.relate(ALICE, 'm.thread', root.event_id)
    await room.member(BOB, 'leave')
    await room.relate(ALICE, 'm.thread', root.event_id)
    const latest = { latest_event: { event_id: seen.event_id }, count: 1 }
    expect((await threads(room, { userId: BOB })).chunk).toMatchObject([
      { unsigned: { 'm.relations': { 'm.thread': latest } } },
    ])
  })
})

describe('the event at a time', () => {
  const at = (room: ReadingRoom, ts: number, direction: 'forwards' | 'backwards', userId = ALICE) =>
    findEventAtTime(app, { roomId: room.roomId, userId, ts, direction })

  test('is the next or the last one, by the timeline where times are equal', async () => {
    const room = await createReadingRoom(app)
    const ts = app.clock.now() + 60_000
    const [one, two] = [
      await room.message(ALICE, '1', {}, { origin_server_ts: ts }),
      await room.message(ALICE, '2', {}, { origin_server_ts: ts }),
    ]
    expect(await at(room, ts, 'forwards')).toEqual({ event_id: one.event_id, origin_server_ts: ts })
    expect(await at(room, ts - 1, 'forwards')).toMatchObject({ event_id: one.event_id })
    expect(await at(room, ts, 'backwards')).toMatchObject({ event_id: two.event_id })
    expect(await at(room, ts + 1, 'backwards')).toMatchObject({ event_id: two.event_id })
    await expect(at(room, ts + 1, 'forwards')).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await expect(at(room, 0, 'backwards')).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await expect(at(room, ts, 'forwards', CAROL)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  })

  test('is one that the user may see', async () => {
    const room = await createReadingRoom(app, 'joined')
    const hidden = []
    for (let i = 0; i < 25; i++) hidden.push(await room.message(ALICE, `${i}`))
    const join = await room.member(BOB, 'join')
    expect(await at(room, hidden[0]!.pdu.origin_server_ts, 'forwards', BOB)).toMatchObject({ event_id: join.event_id })
    await room.member(BOB, 'leave')
    const after = await room.message(ALICE, 'after')
    await expect(at(room, after.pdu.origin_server_ts, 'forwards', BOB)).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    })
  })
})
