import { sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { ServerKeyRow } from '../schema/server-keys.ts'

/** Returns all known keys of other servers, in one query. */
export async function loadServerKeys(db: Db, servers: readonly ServerName[]): Promise<ServerKeyRow[]> {
  const { rows } =
    await sql<ServerKeyRow>`select * from server_keys where server_name = any(${servers}::text[])`.execute(db.sql)
  return rows
}

/** Stores keys; of two responses about one key, the one with the later expiry wins. */
export async function storeServerKeys(tx: Tx, keys: readonly ServerKeyRow[]): Promise<void> {
  if (keys.length === 0) return
  const column = <Name extends keyof ServerKeyRow>(name: Name) => keys.map((key) => key[name])
  await sql`insert into server_keys (server_name, key_id, public_key, valid_until_ts, retired, fetched_ts, response)
    select * from unnest(${column('server_name')}::text[], ${column('key_id')}::text[], ${column('public_key')}::text[],
      ${column('valid_until_ts')}::bigint[], ${column('retired')}::boolean[], ${column('fetched_ts')}::bigint[],
      ${column('response')}::text[])
    on conflict (server_name, key_id) do update set public_key = excluded.public_key,
      valid_until_ts = excluded.valid_until_ts, retired = excluded.retired, fetched_ts = excluded.fetched_ts,
      response = excluded.response
    where excluded.valid_until_ts >= server_keys.valid_until_ts or excluded.retired`.execute(tx.sql)
}
