import type { ServerName } from '../../core/ids.ts'

/** Tables of signing keys of remote servers and of this server: `migrations/0007_federation.sql`. */
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
