import { sql } from 'kysely'
import type { RoomId } from '../src/core/ids.ts'
import { migrate } from '../src/storage/engine/migrate.ts'
import { createNidSource } from '../src/storage/engine/nids.ts'
import { openDatabase } from '../src/storage/engine/open-database.ts'
import { changeState, storeStateNodes } from '../src/storage/rooms/timeline/room-state.ts'
import { startPostgres } from '../testing/postgres.ts'

/**
 * Prints how many bytes of PostgreSQL one state change costs in rooms of several sizes, indexes included: `node
 * bench/state-size.ts`.
 */
const CHANGES = 2000
const postgres = await startPostgres()
console.log('| members | bytes per state change |\n|---:|---:|')
for (const members of [10, 1000, 10_000, 100_000]) {
  const url = await postgres.createDatabase()
  const database = await openDatabase({
    url,
    folder: '',
    poolSize: 2,
    cacheBytes: 256_000_000,
    reportError: console.error,
  })
  await migrate(database)
  const takeNids = createNidSource()
  const roomId = '!room:bench' as RoomId
  let root = 0
  const change = (changes: { type: string; state_key: string; event_nid: number }[]) =>
    database.write(async (tx) => {
      const { root: next, created } = await changeState({ db: tx, takeNids, root, changes })
      await storeStateNodes(tx, [{ roomId, nodes: created }])
      for (const [address, node] of created) tx.caches.stateNodes.set(address, node)
      root = next
    })
  const member = (i: number, nid: number) => ({
    type: 'm.room.member',
    state_key: `@user${i}:example.org`,
    event_nid: nid,
  })
  await change(Array.from({ length: members }, (_, i) => member(i, i + 1)))
  const size = async () => {
    const { rows } = await sql<{ size: number }>`select pg_total_relation_size('state_packs')::bigint as size`.execute(
      database.sql,
    )
    return rows[0]!.size
  }
  const before = await size()
  for (let i = 0; i < CHANGES; i++) await change([member((i * 7919) % members, 1_000_000 + i)])
  console.log(`| ${members} | ${Math.round(((await size()) - before) / CHANGES)} |`)
  await database.close()
}
await postgres.stop()
