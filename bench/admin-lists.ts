import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../src/storage/engine/database.ts'
import { migrate } from '../src/storage/engine/migrate.ts'
import { openDatabase } from '../src/storage/engine/open-database.ts'
import {
  type AdministeredRoomFilter,
  type AdministeredRoomPage,
  listAdministeredRooms,
  ROOM_ORDERS,
} from '../src/storage/rooms/administered-rooms.ts'
import { countUsers, listUsers, USER_ORDERS, type UserFilter, type UserPage } from '../src/storage/users/user-lists.ts'
import { startPostgres } from '../testing/postgres.ts'

/**
 * Measures the lists of administrators in generated databases, in each order, on both databases:
 * `node bench/admin-lists.ts [rooms] [users]`, by default 50000 and 100000. The aim is at most 100 ms for each. Shows
 * the fastest of some rounds, because other load on the machine only makes them slower.
 */
const [rooms = 50_000, users = 100_000] = process.argv.slice(2).map(Number)
const ROUNDS = 3

async function generate({ sql: db }: Database): Promise<void> {
  await sql`insert into rooms (room_id, room_version, creator, in_directory, name, topic, canonical_alias, join_rule,
      guest_access, history_visibility, encryption, joined_members, joined_local_members, member_events, other_state_events)
    select '!' || md5(n::text) || ':hearth.test', (9 + n % 4)::text, '@user' || n % 1000 || ':hearth.test', n % 10 = 0,
      case when n % 3 > 0 then 'Room ' || md5((n * 7)::text) end, repeat('topic ', n % 20),
      case when n % 5 = 0 then '#alias' || md5((n * 3)::text) || ':hearth.test' end,
      case n % 2 when 0 then 'public' else 'invite' end, case n % 4 when 0 then 'can_join' end, 'shared',
      case n % 2 when 0 then 'm.megolm.v1.aes-sha2' end, n * 7919 % 1000, n * 17 % 100, n * 31 % 1000, n % 40
    from generate_series(1, ${rooms}::int) as n`.execute(db)
  await sql`insert into users (user_id, is_admin, is_guest, locked, suspended, created_ts, deactivated_ts, user_type)
    select '@user' || md5(n::text) || ':hearth.test', n % 1000 = 0, n % 50 = 0, n % 200 = 0, n % 300 = 0,
      1700000000000 + n::bigint * 7919 % 1000000, case when n % 20 = 0 then 1700000000000 end,
      case when n % 100 = 0 then 'bot' end
    from generate_series(1, ${users}::int) as n`.execute(db)
  await sql`insert into profiles (user_id, displayname, avatar_url) select user_id, 'Name ' || md5(user_id),
      case when created_ts % 3 = 0 then 'mxc://hearth.test/' || md5(user_id) end from users`.execute(db)
  await sql`insert into devices (user_id, device_id, created_ts, last_seen_ts)
    select user_id, 'D' || n, 0, case when n = 1 then created_ts * 7 % 1000000 end from users, generate_series(1, 2) as n
    where deactivated_ts is null`.execute(db)
  await sql`vacuum analyze`.execute(db)
}

const ALL_ROOMS: AdministeredRoomFilter = { term: null, isPublic: null, isEmpty: null }
const ALL_USERS: UserFilter = {
  ...{
    idPart: null,
    namePart: null,
    guests: null,
    deactivated: null,
    locked: false,
    suspended: null,
    shadowBanned: null,
    admins: null,
  },
  withoutTypes: [],
}

/** The lists, by name: the page and the number of all. */
function lists(db: Database): Map<string, () => Promise<unknown>> {
  const all = new Map<string, () => Promise<unknown>>()
  for (const order of ROOM_ORDERS)
    for (const [name, from, isReversed] of [
      ['', 0, false],
      [', middle', rooms / 2, false],
      [', last page', rooms - 100, false],
      [', reversed', 0, true],
    ] as const)
      all.set(`rooms by ${order}${name}`, () =>
        roomList(ALL_ROOMS, { order, isReversed, from: Math.floor(from), limit: 100 }),
      )
  const byName = { order: 'name', isReversed: false, from: 0, limit: 100 } as const
  all.set('rooms, searched: few', () => roomList({ ...ALL_ROOMS, term: 'room ab' }, byName))
  all.set('rooms, searched: none', () => roomList({ ...ALL_ROOMS, term: 'nothing' }, byName))
  all.set('rooms, public', () => roomList({ ...ALL_ROOMS, isPublic: true }, byName))
  all.set('rooms, empty', () => roomList({ ...ALL_ROOMS, isEmpty: true }, byName))
  for (const order of USER_ORDERS)
    for (const [name, from, isDescending] of [
      ['', 0, false],
      [', middle', Math.floor(users * 0.4), false],
      [', last page', Math.max(0, users - 10_000), false],
      [', descending', 0, true],
    ] as const)
      all.set(`users by ${order}${name}`, () => userList(ALL_USERS, { order, isDescending, from, limit: 100 }))
  const first = { order: 'name', isDescending: false, from: 0, limit: 100 }
  all.set('users, searched: few', () => userList({ ...ALL_USERS, namePart: 'name abc' }, first))
  all.set('users, searched: none', () => userList({ ...ALL_USERS, namePart: 'nobody' }, first))
  all.set('users, administrators', () => userList({ ...ALL_USERS, admins: true }, first))
  return all

  function roomList(filter: AdministeredRoomFilter, page: AdministeredRoomPage) {
    return listAdministeredRooms(db, filter, page)
  }
  function userList(filter: UserFilter, page: UserPage) {
    return Promise.all([listUsers(db, filter, page), countUsers(db, filter)])
  }
}

async function measureOn(db: Database): Promise<Map<string, number>> {
  await migrate(db)
  await generate(db)
  const found = new Map<string, number>()
  for (const [name, load] of lists(db)) {
    const times: number[] = []
    for (let round = -1; round < ROUNDS; round++) {
      const started = performance.now()
      await load()
      if (round >= 0) times.push(performance.now() - started)
    }
    found.set(name, Math.min(...times))
  }
  await db.close()
  return found
}

const folder = mkdtempSync(join(tmpdir(), 'hearth-lists-'))
const postgres = await startPostgres()
try {
  const options = { folder, poolSize: 4, cacheBytes: 1_000_000, reportError: console.error }
  const embedded = await measureOn(await openDatabase(options))
  const onPostgres = await measureOn(await openDatabase({ ...options, url: await postgres.createDatabase() }))
  console.log('| list (ms) | embedded | PostgreSQL |\n|---|---:|---:|')
  for (const [name, ms] of embedded) console.log(`| ${name} | ${ms.toFixed(1)} | ${onPostgres.get(name)!.toFixed(1)} |`)
} finally {
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
