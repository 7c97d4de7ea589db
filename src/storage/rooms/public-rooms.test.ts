import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import { countPublicRooms, type DirectoryQuery, loadPublicRooms } from './public-rooms.ts'

const ROOMS = 2000
/**
 * Every hundredth room is published, every 150th in an application service's third-party network: every 300th in both.
 */
const [PUBLISHED, IN_NETWORK, IN_BOTH] = [20, 13, 6]

test('a directory has what is listed in it, and looks at nothing else', async () => {
  const database = await createTestDatabase()
  await sql`insert into rooms (room_id, room_version, creator, in_directory, name, join_rule, joined_members)
    select '!' || number, '12', '@alice:hearth.test', number % 100 = 0, 'Room ' || number, 'public', number
    from generate_series(1, ${ROOMS}::int) as number`.execute(database.sql)
  for (const network of ['libera', 'oftc'])
    await sql`insert into appservice_directory select room_id, 'irc', ${network} from rooms where joined_members % 150 = 0`.execute(
      database.sql,
    )

  const libera = { appserviceId: 'irc', networkId: 'libera' }
  const listings: [DirectoryQuery['network'], number][] = [
    [undefined, PUBLISHED],
    [libera, IN_NETWORK],
    ['all', PUBLISHED + IN_NETWORK - IN_BOTH],
  ]
  for (const [network, count] of listings) {
    await database.write(async (tx) => {
      const before = await roomsRead(tx)
      const query = { network, direction: 'forwards', limit: 3 } as const
      expect(await countPublicRooms(tx, network)).toBe(count)
      const places = (await loadPublicRooms(tx, query)).map(({ joined_members }) => joined_members)
      expect(places).toEqual(
        network === undefined ? [2000, 1900, 1800] : network === 'all' ? [2000, 1950, 1900] : [1950, 1800, 1650],
      )
      const found = await loadPublicRooms(tx, { ...query, limit: 100, searchTerm: 'OOM 1800' })
      expect(found.map(({ room_id }) => room_id)).toEqual(['!1800'])
      expect(await loadPublicRooms(tx, { ...query, searchTerm: 'something else' })).toEqual([])
      // Counted once, listed once, searched twice, through the listings of either kind.
      expect((await roomsRead(tx)) - before).toBeLessThanOrEqual(4 * (PUBLISHED + IN_NETWORK))
    })
  }
  await database.close()
})

/** Returns how many rows of the rooms table have been read so far. */
async function roomsRead(db: Parameters<typeof countPublicRooms>[0]): Promise<number> {
  const { rows } = await sql<{ read: number }>`select (seq_tup_read + idx_tup_fetch)::int as read
    from pg_stat_xact_user_tables where relname = 'rooms'`.execute(db.sql)
  return rows[0]!.read
}
