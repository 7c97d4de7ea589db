import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventId, UserId } from '../../../core/ids.ts'
import { loadOwnReceipts, loadReceiptsOf, loadRoomReceipts } from '../../../storage/rooms/receipts.ts'
import { findAccountData } from '../../../storage/users/account-data.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE, type ReadingRoom } from '../../../testing/reading-room.ts'
import { receiptContents } from './receipt-contents.ts'
import { type Marker, setMarkers } from './receipts.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const mark = (room: ReadingRoom, userId: UserId, ...markers: Marker[]) =>
  setMarkers(app, { roomId: room.roomId, userId, markers })
const receipts = async (room: ReadingRoom, readerId: UserId) =>
  (await loadRoomReceipts(app.database, [room.roomId], readerId)).map(
    ({ user_id, receipt_type, thread_id, event_id }) => [user_id, receipt_type, thread_id, event_id],
  )
/** Returns the stream rows of an action. */
const streamed = async (work: () => Promise<unknown>) => {
  const last = (await app.database.sql
    .selectFrom('stream')
    .select('stream_position')
    .orderBy('stream_position', 'desc')
    .executeTakeFirst())!
  await work()
  const rows = app.database.sql.selectFrom('stream').where('stream_position', '>', last.stream_position)
  return rows.select(['kind', 'room_id', 'user_id', 'detail']).orderBy('stream_position').execute()
}

describe('receipts', () => {
  test('move forward and tell the room; going back or staying changes nothing', async () => {
    const room = await createReadingRoom(app)
    const [one, two] = [await room.message(ALICE, '1'), await room.message(ALICE, '2')]
    const rows = await streamed(async () => {
      await mark(room, ALICE, { type: 'm.read', eventId: one.event_id })
      await mark(room, ALICE, { type: 'm.read', eventId: two.event_id })
      await mark(room, ALICE, { type: 'm.read', eventId: two.event_id })
      await mark(room, ALICE, { type: 'm.read', eventId: one.event_id })
    })
    const row = { kind: 'receipt', room_id: room.roomId, user_id: null, detail: ALICE }
    expect(rows).toEqual([row, row])
    expect(await receipts(room, BOB)).toEqual([[ALICE, 'm.read', '', two.event_id]])
  })

  test('that are private are for their user only', async () => {
    const room = await createReadingRoom(app)
    const event = await room.message(ALICE, '1')
    const rows = await streamed(() => mark(room, ALICE, { type: 'm.read.private', eventId: event.event_id }))
    expect(rows).toEqual([{ kind: 'receipt', room_id: null, user_id: ALICE, detail: room.roomId }])
    const owners = [{ roomId: room.roomId, userId: ALICE, orders: [event.event_order] }]
    expect(await receipts(room, BOB)).toEqual([])
    expect(await loadReceiptsOf(app.database, owners, BOB)).toEqual([])
    expect(await loadReceiptsOf(app.database, [...owners, ...owners], ALICE)).toMatchObject([
      { receipt_type: 'm.read.private' },
    ])
    expect(await loadOwnReceipts(app.database, ALICE, [room.roomId])).toMatchObject([
      { event_order: event.event_order },
    ])
  })

  test('a response has the furthest of many, and the user’s own', async () => {
    const room = await createReadingRoom(app)
    const event = await room.message(ALICE, '1')
    await mark(room, ALICE, { type: 'm.read', eventId: event.event_id })
    await sql`insert into receipts (room_id, user_id, receipt_type, thread_id, event_id, event_order, ts)
      select ${room.roomId}, '@many' || place || ':hearth.test', 'm.read', '', ${event.event_id}, 1000 + place, 1
      from generate_series(1, 2100) as place`.execute(app.database.sql)
    const told = (await receipts(room, ALICE)).map(([userId]) => userId)
    expect(told).toHaveLength(2000)
    expect(told).toEqual(expect.arrayContaining([ALICE, '@many2100:hearth.test']))
    expect(told).not.toContain('@many1:hearth.test')
  })

  test('that a row tells of are those that moved there', async () => {
    const room = await createReadingRoom(app)
    const [root, other] = [await room.message(ALICE, 'root'), await room.message(ALICE, 'other')]
    const reply = await room.relate(ALICE, 'm.thread', root.event_id)
    await mark(room, ALICE, { type: 'm.read', eventId: reply.event_id, threadId: root.event_id })
    await mark(room, ALICE, { type: 'm.read', eventId: other.event_id, threadId: 'main' })
    const moved = { roomId: room.roomId, userId: ALICE }
    const found = async (orders: (number | null)[]) =>
      (await loadReceiptsOf(app.database, [{ ...moved, orders }], BOB)).map(({ event_id }) => event_id)
    expect(await found([other.event_order])).toEqual([other.event_id])
    expect(await found([other.event_order! + 1000])).toEqual([])
    expect((await found([null])).sort()).toEqual([other.event_id, reply.event_id].sort())
  })

  test('a response has a limited number for one event in many threads', async () => {
    const room = await createReadingRoom(app)
    const { event_id, event_order } = await room.message(ALICE, '1')
    await sql`insert into receipts (room_id, user_id, receipt_type, thread_id, event_id, event_order, ts)
      select ${room.roomId}, '@many:hearth.test', 'm.read', '$thread' || place, ${event_id}, ${event_order}::bigint, place
      from generate_series(1, 500) as place`.execute(app.database.sql)
    const moved = { roomId: room.roomId, userId: '@many:hearth.test' as UserId, orders: [event_order] }
    const told = (await loadReceiptsOf(app.database, [moved], BOB)).map(({ thread_id }) => thread_id)
    expect(told).toHaveLength(100)
    expect(told).toContain('$thread500')
  })

  test('of threads stand beside each other', async () => {
    const room = await createReadingRoom(app)
    const root = await room.message(ALICE, 'root')
    const reply = await room.relate(ALICE, 'm.thread', root.event_id)
    const reaction = await room.relate(ALICE, 'm.annotation', reply.event_id)
    await mark(room, ALICE, { type: 'm.read', eventId: reaction.event_id, threadId: root.event_id })
    await mark(room, ALICE, { type: 'm.read', eventId: root.event_id, threadId: 'main' })
    await mark(room, ALICE, { type: 'm.read', eventId: root.event_id })
    expect((await receipts(room, BOB)).sort()).toEqual(
      [
        [ALICE, 'm.read', '', root.event_id],
        [ALICE, 'm.read', 'main', root.event_id],
        [ALICE, 'm.read', root.event_id, reaction.event_id],
      ].sort(),
    )
    for (const [eventId, threadId] of [
      [reply.event_id, 'main'],
      [(await room.message(ALICE, 'x')).event_id, root.event_id],
    ] as const) {
      await expect(mark(room, ALICE, { type: 'm.read', eventId, threadId })).rejects.toMatchObject({
        status: 400,
        errcode: 'M_INVALID_PARAM',
      })
    }
  })

  test('are for members, and for events of the room', async () => {
    const [room, other] = [await createReadingRoom(app), await createReadingRoom(app)]
    const event = await room.message(ALICE, '1')
    await expect(mark(room, CAROL, { type: 'm.read', eventId: event.event_id })).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
    await expect(mark(other, ALICE, { type: 'm.read', eventId: event.event_id })).rejects.toMatchObject({
      status: 404,
      errcode: 'M_NOT_FOUND',
    })
  })

  test('of a user become m.receipt contents, more than one where one has no place', () => {
    const row = {
      room_id: '!r:hearth.test',
      user_id: ALICE,
      receipt_type: 'm.read',
      thread_id: '',
      event_id: '$1',
      event_order: 1,
      ts: 5,
    }
    const rows = [
      row,
      { ...row, thread_id: 'main' },
      { ...row, user_id: BOB },
      { ...row, event_id: '$2', thread_id: '$1' },
    ]
    expect(receiptContents(rows as never)).toEqual([
      {
        $1: { 'm.read': { [ALICE]: { ts: 5 }, [BOB]: { ts: 5 } } },
        $2: { 'm.read': { [ALICE]: { ts: 5, thread_id: '$1' } } },
      },
      { $1: { 'm.read': { [ALICE]: { ts: 5, thread_id: 'main' } } } },
    ])
  })
})

describe('the fully read marker', () => {
  const marker = async (room: ReadingRoom) =>
    findAccountData(app.database, ALICE, { roomId: room.roomId, type: 'm.fully_read' })

  test('is account data that moves forward only', async () => {
    const room = await createReadingRoom(app)
    const [one, two] = [await room.message(ALICE, '1'), await room.message(ALICE, '2')]
    const rows = await streamed(async () => {
      await mark(room, ALICE, { type: 'm.fully_read', eventId: two.event_id })
      await mark(room, ALICE, { type: 'm.fully_read', eventId: one.event_id })
    })
    expect(rows).toMatchObject([{ kind: 'account_data', user_id: ALICE, detail: 'm.fully_read' }])
    expect(JSON.parse((await marker(room))!)).toEqual({ event_id: two.event_id })
    const threaded: Marker = { type: 'm.fully_read', eventId: two.event_id, threadId: 'main' }
    await expect(mark(room, ALICE, threaded)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  })

  test('is set with receipts, or none of them is', async () => {
    const room = await createReadingRoom(app)
    const event = await room.message(ALICE, '1')
    const markers = (eventId: EventId): Marker[] => [
      { type: 'm.fully_read', eventId: event.event_id },
      { type: 'm.read', eventId: event.event_id },
      { type: 'm.read.private', eventId },
    ]
    await expect(mark(room, ALICE, ...markers('$none' as EventId))).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
    expect([await marker(room), await receipts(room, ALICE)]).toEqual([undefined, []])
    await mark(room, ALICE, ...markers(event.event_id))
    expect(await receipts(room, ALICE)).toHaveLength(2)
    expect(await marker(room)).toBeDefined()
  })
})
