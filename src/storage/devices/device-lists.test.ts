import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database, Tx } from '../engine/database.ts'
import { migrate } from '../engine/migrate.ts'
import { openDatabase } from '../engine/open-database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { storeSignatures } from './cross-signing-keys.ts'
import { noteDeviceListChange } from './device-lists.ts'

const BOB = '@bob:x' as UserId

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

async function join(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid) values (${roomId}, ${BOB}, 'join', 1)`.execute(
    tx.sql,
  )
  appendToStream(tx, { kind: 'event', room_id: roomId, user_id: BOB, ref: 1, detail: 'join' })
}

function streamOf(database: Database) {
  return database.sql.selectFrom('stream').selectAll().orderBy('stream_position').execute()
}

test('a change of devices reaches every room that was joined before it in the stream, however they race', async () => {
  const reportError = (error: unknown) => {
    throw error
  }
  const url = await postgres.createDatabase()
  const database = await openDatabase({ url, folder: '', poolSize: 16, cacheBytes: 1_000_000, reportError })
  await migrate(database)
  const numbers = Array.from({ length: 60 }, (_, number) => number)
  await Promise.all(
    numbers.map((number) =>
      database.write(async (tx) => {
        if (number % 3 > 0) await sql`select pg_sleep(${(number % 7) / 1000})`.execute(tx.sql)
        if (number % 2 === 0) await join(tx, `!${number}:x` as RoomId)
        else noteDeviceListChange(tx, BOB, `device ${number}`)
        if (number % 3 === 0) await sql`select pg_sleep(${(number % 5) / 1000})`.execute(tx.sql)
      }),
    ),
  )
  const joined = new Set<string>()
  let missing = new Set<string>()
  for (const { kind, room_id } of await streamOf(database)) {
    if (kind === 'event') {
      expect(missing).toEqual(new Set())
      joined.add(room_id!)
    } else if (room_id === null) {
      expect(missing).toEqual(new Set())
      missing = new Set(joined)
    } else {
      expect(missing.delete(room_id)).toBe(true)
    }
  }
  expect(missing).toEqual(new Set())
  await database.close()
})

test("signatures on others' keys are shown only to their author", async () => {
  const database = await createTestDatabase()
  await database.write((tx) => join(tx, '!r:x' as RoomId))
  const signature = { signer: BOB, signing_key_id: 'ed25519:k', target_key: 'm', signature: 's' }
  await database.write((tx) => storeSignatures(tx, [{ ...signature, target_user_id: '@alice:x' as UserId }]))
  await database.write((tx) => storeSignatures(tx, [{ ...signature, target_user_id: BOB }]))
  const rows = (await streamOf(database)).filter((row) => row.kind === 'device_list')
  expect(rows.map(({ room_id, user_id, detail }) => [room_id, user_id, detail])).toEqual([
    [null, BOB, 'signatures @alice:x'],
    [null, BOB, 'cross_signing'],
    ['!r:x', BOB, null],
  ])
  await database.close()
})
