import type { ServerName } from '../core/ids.ts'

/** The tables of other servers' keys, and our own; `migrations/0011_server_keys.sql` has their meaning. */
export type ServerKeyTables = {
  server_keys: ServerKeyRow
  own_keys: { key_id: string; public_key: string; expired_ts: number | null }
}

export type ServerKeyRow = {
  server_name: ServerName
  key_id: string
  public_key: string
  valid_until_ts: number
  retired: boolean
  fetched_ts: number
  response: string
}
