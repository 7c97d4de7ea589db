import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { ServerName } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import { QUARANTINED_BY } from './media.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'

/** Appends that media are no longer quarantined, after a rule was deleted; without those that another rule blocks. */
export async function appendReleases(tx: Tx, names: readonly MediaName[]): Promise<void> {
  if (names.length === 0) return
  const { rows } = await sql<{ server_name: ServerName; media_id: string }>`select m.server_name, m.media_id
    from unnest(${names.map(({ serverName }) => serverName)}::text[], ${names.map(({ mediaId }) => mediaId)}::text[])
      as given(server_name, media_id) join media m using (server_name, media_id) where ${QUARANTINED_BY} is null`.execute(
    tx.sql,
  )
  const released = rows.map(({ server_name: serverName, media_id: mediaId }) => ({ serverName, mediaId }))
  appendQuarantineChanges(tx, released, false)
}
