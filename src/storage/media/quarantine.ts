import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { deleteContentRules, setContentRules } from './content-rules.ts'
import { QUARANTINED_BY } from './media.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'
import { appendReleases } from './quarantine-releases.ts'

type NameRow = { server_name: ServerName; media_id: string }

/**
 * Quarantines media: the contents of those with a file, and the names of the others. Protected media are skipped. Unknown
 * names of other servers are recorded, so that they are never fetched; those of this server are skipped. Returns how
 * many media are no longer served because of it.
 */
export async function quarantineNames(
  tx: Tx,
  names: readonly MediaName[],
  { by, ownServer, now }: { by: UserId; ownServer: ServerName; now: number },
): Promise<number> {
  const given = sql`unnest(${names.map(({ serverName }) => serverName)}::text[],
    ${names.map(({ mediaId }) => mediaId)}::text[]) as given(server_name, media_id)`
  await sql`insert into media (server_name, media_id, content_type, created_ts, accessed_ts)
    select distinct server_name, media_id, '', ${now}::bigint, ${now}::bigint from ${given} where server_name <> ${ownServer}
    on conflict do nothing`.execute(tx.sql)
  const { rows: without } = await sql<NameRow>`update media set quarantined_by = ${by} from ${given}
    where media.server_name = given.server_name and media.media_id = given.media_id and sha256 is null
      and quarantined_by is null and not is_protected returning media.server_name, media.media_id`.execute(tx.sql)
  appendQuarantineChanges(tx, without.map(nameOf), true)
  const { rows: files } = await sql<{ sha256: string }>`select distinct sha256 from media join ${given}
    using (server_name, media_id) where sha256 is not null and not is_protected`.execute(tx.sql)
  const hashes = files.map(({ sha256 }) => sha256)
  return without.length + (await setContentRules(tx, hashes, { verdict: 'quarantine', setBy: by, reason: null, now }))
}

/** Ends the quarantine of media, and of all media with the same content. */
export async function unquarantineName(tx: Tx, { serverName, mediaId }: MediaName): Promise<void> {
  const { rows } = await sql<{ sha256: string | null; was_quarantined: boolean }>`
    with before as (
      select sha256, quarantined_by from media where server_name = ${serverName} and media_id = ${mediaId} for update
    ), changed as (
      update media set quarantined_by = null
      where server_name = ${serverName} and media_id = ${mediaId} and quarantined_by is not null
    )
    select sha256, quarantined_by is not null as was_quarantined from before`.execute(tx.sql)
  const [media] = rows
  if (media?.was_quarantined) await appendReleases(tx, [{ serverName, mediaId }])
  if (media?.sha256) await deleteContentRules(tx, [media.sha256], 'quarantine')
}

/** Returns up to `limit` media of a user that are neither quarantined nor protected. */
export async function loadServedUploads(db: Db, userId: UserId, limit: number): Promise<MediaName[]> {
  const { rows } = await sql<NameRow>`select server_name, media_id from media m
    where uploader = ${userId} and not is_protected and ${QUARANTINED_BY} is null limit ${limit}::int`.execute(db.sql)
  return rows.map(nameOf)
}

function nameOf({ server_name, media_id }: NameRow): MediaName {
  return { serverName: server_name, mediaId: media_id }
}
