import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { ContentRuleRow } from '../schema/media.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'
import { appendReleases } from './quarantine-releases.ts'

export type Verdict = ContentRuleRow['verdict']
export type NewContentRule = { verdict: Verdict; setBy: string; reason: string | null; now: number }

/**
 * Sets the rule of contents, and returns how many media are no longer served because of it. Quarantine does not replace
 * a denial.
 */
export async function setContentRules(tx: Tx, hashes: readonly string[], rule: NewContentRule): Promise<number> {
  if (hashes.length === 0) return 0
  // Waits for uploads of these contents, which hold the lock `lockFile`, so that the stream has them all.
  await sql`select 1 from media_files where sha256 = any(${hashes}::text[]) order by sha256 for update`.execute(tx.sql)
  const { rows: before } = await sql<{ sha256: string; verdict: Verdict }>`
    select sha256, verdict from media_content_rules where sha256 = any(${hashes}::text[]) for update`.execute(tx.sql)
  await sql`insert into media_content_rules (sha256, verdict, set_by, reason, set_ts)
    select distinct sha256, ${rule.verdict}, ${rule.setBy}, ${rule.reason}::text, ${rule.now}::bigint
    from unnest(${hashes}::text[]) as given(sha256)
    on conflict (sha256) do update set verdict = excluded.verdict, set_by = excluded.set_by, reason = excluded.reason,
      set_ts = excluded.set_ts where excluded.verdict = 'deny'`.execute(tx.sql)
  const known = new Map(before.map(({ sha256, verdict }) => [sha256, verdict]))
  const affected = (await loadMediaWith(tx, hashes)).filter(({ sha256, is_protected }) => {
    const verdict = known.get(sha256)
    return isServed(verdict, is_protected) && !isServed(rule.verdict, is_protected)
  })
  appendQuarantineChanges(tx, affected.map(nameOf), true)
  return affected.length
}

/** Deletes the rules of contents, of one verdict if given, and returns how many there were. */
export async function deleteContentRules(tx: Tx, hashes: readonly string[], verdict?: Verdict): Promise<number> {
  const { rows } = await sql<{ sha256: string; verdict: Verdict }>`delete from media_content_rules
    where sha256 = any(${hashes}::text[]) and (${verdict ?? null}::text is null or verdict = ${verdict ?? null}::text)
    returning sha256, verdict`.execute(tx.sql)
  const verdicts = new Map(rows.map((row) => [row.sha256, row.verdict]))
  const media = await loadMediaWith(tx, [...verdicts.keys()])
  const affected = media.filter(({ sha256, is_protected }) => !isServed(verdicts.get(sha256), is_protected))
  await appendReleases(tx, affected.map(nameOf))
  return rows.length
}

function isServed(verdict: Verdict | undefined, isProtected: boolean): boolean {
  return verdict === undefined || (verdict === 'quarantine' && isProtected)
}

/** Returns a page of the rules, newest first, and the number of all rules. */
export async function listContentRules(
  db: Db,
  { from, limit }: { from: number; limit: number },
): Promise<{ rules: ContentRuleRow[]; total: number }> {
  const rules = await sql<ContentRuleRow>`select * from media_content_rules order by set_ts desc, sha256 desc
    limit ${limit}::bigint offset ${from}::bigint`.execute(db.sql)
  const total = await sql<{
    total: number
  }>`select count(*) as total from media_content_rules where set_ts >= 0`.execute(db.sql)
  return { rules: rules.rows, total: total.rows[0]!.total }
}

type MediaWithContent = { server_name: ServerName; media_id: string; sha256: string; is_protected: boolean }

async function loadMediaWith(db: Db, hashes: readonly string[]): Promise<MediaWithContent[]> {
  const { rows } = await sql<MediaWithContent>`select server_name, media_id, sha256, is_protected from media
    where sha256 = any(${hashes}::text[])`.execute(db.sql)
  return rows
}

function nameOf({ server_name, media_id }: MediaWithContent): MediaName {
  return { serverName: server_name, mediaId: media_id }
}
