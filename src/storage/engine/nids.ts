import { sql } from 'kysely'
import type { Db } from './database.ts'

const BLOCK = 256

/**
 * Returns `count` numeric ids for events or state packs; rarely queries the database. Ids of a transaction that rolls
 * back are skipped.
 */
export type TakeNids = (db: Db, count: number) => Promise<number[]>

/** Creates a source of nids on the database's sequence, which allocates blocks to processes. */
export function createNidSource(): TakeNids {
  const spare: number[] = []
  return async (db, count) => {
    while (spare.length < count) {
      const blocks = Math.ceil((count - spare.length) / BLOCK)
      const result = await sql<{
        nid: number
      }>`select nextval('nids') as nid from generate_series(1, ${blocks}::int)`.execute(db.sql)
      for (const { nid } of result.rows) for (let i = 0; i < BLOCK; i++) spare.push(nid + i)
    }
    return spare.splice(0, count)
  }
}
