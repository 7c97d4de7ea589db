import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Db } from '../engine/database.ts'
import { loadListWindow } from './room-lists.ts'

const USER = '@alice:hearth.test' as UserId
const ROOMS = 2000
const ACTIVE = 50

/** Returns how many rows of the room tables have been read so far. */
async function rowsRead(db: Db): Promise<{ heads: number; lists: number }> {
  const { rows } = await sql<{
    relname: string
    read: number
  }>`select relname, (seq_tup_read + idx_tup_fetch)::int as read
    from pg_stat_xact_user_tables`.execute(db.sql)
  const readOf = (table: string) => rows.find(({ relname }) => relname === table)?.read ?? 0
  return { heads: readOf('room_heads'), lists: readOf('room_lists') }
}

test('a window of a long list looks at few rooms, though the database knows nothing of its tables yet', async () => {
  const database = await createTestDatabase()
  await sql`insert into room_heads (room_id, room_version, create_nid, state_root, depth, next_order, forward_extremities, activity)
    select '!' || number, '12', 0, 0, 0, 1, '{}', number from generate_series(1, ${ROOMS}::int) as number`.execute(
    database.sql,
  )
  // The active rooms are at the end of the list, except for the last events, which the list does not contain.
  await sql`insert into room_lists (user_id, room_id, membership, event_nid, forgotten, was_joined, is_listed, activity)
    select ${USER}, room_id, 'join', 0, false, true, true, case when activity > ${ROOMS - ACTIVE}::int then 0 else activity end
    from room_heads`.execute(database.sql)
  await sql`insert into active_rooms select room_id from room_heads where activity > ${ROOMS - ACTIVE}::int`.execute(
    database.sql,
  )
  await database.write(async (tx) => {
    const list = { filter: { notTypes: ['m.space'] }, windows: [[0, 59] as const], newsOnly: false }
    const before = await rowsRead(tx)
    const { count, rooms } = await loadListWindow(tx, { userId: USER, connection: undefined }, list)
    expect(count).toBe(ROOMS)
    expect(rooms.map(({ roomId }) => roomId)).toEqual(Array.from({ length: 60 }, (_, place) => `!${ROOMS - place}`))
    const after = await rowsRead(tx)
    expect(after.heads - before.heads).toBeLessThanOrEqual(ACTIVE + 60)
    // All entries of the list are counted, and may be sorted, which is cheap; no query reads all of them again.
    expect(after.lists - before.lists).toBeLessThanOrEqual(2 * ROOMS + 2 * (ACTIVE + 60))
  })
})
