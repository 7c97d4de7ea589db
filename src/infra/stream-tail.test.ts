import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { RoomId, UserId } from '../core/ids.ts'
import { appendStreamRows, appendToStream } from '../storage/engine/stream-append.ts'
import { createTestDatabase } from '../testing/test-database.ts'
import { startStreamTail } from './stream-tail.ts'

test('the rows of a deleted room are gone, also for a process that learns late that it was entered again', async () => {
  const database = await createTestDatabase()
  const stream = await startStreamTail(database, pino({ level: 'silent' }))
  const [room_id, user_id] = ['!room:hearth.test' as RoomId, '@user:hearth.test' as UserId]
  const from = stream.position()
  await database.write(async (tx) => appendToStream(tx, { kind: 'event', room_id, user_id, ref: 1, detail: 'leave' }))
  await database.write(async (tx) => {
    appendToStream(tx, { kind: 'room_removed', detail: room_id })
    appendToStream(tx, { kind: 'event', room_id, user_id, ref: 2, detail: 'join' })
  })
  const rows = await stream.rowsBetween({
    from,
    to: await stream.refresh(),
    roomIds: new Set([room_id]),
    userId: user_id,
  })
  expect(rows.map(({ detail }) => detail)).toEqual(['join'])
  await stream.stop()
  await database.close()
})

test('a process reads what others have committed up to a position, but nothing for one that it has seen', async () => {
  const database = await createTestDatabase()
  const stream = await startStreamTail(database, pino({ level: 'silent' }))
  const room_id = '!room:hearth.test' as RoomId
  // As another process does: this one is not told.
  const position = await database.sql
    .transaction()
    .execute((transaction) =>
      appendStreamRows(transaction, [{ kind: 'event', room_id, user_id: null, ref: 1, detail: null }]),
    )
  const before = stream.position()
  await stream.reach(before)
  expect(stream.position()).toBe(before)
  await stream.reach(position)
  expect(stream.position()).toBe(position)
  expect(position).toBeGreaterThan(before)
  await stream.stop()
  await database.close()
})
