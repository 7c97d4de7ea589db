import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { UpstreamRequestRow } from '../schema/upstream.ts'

/** Stores a sign-in that begins, and deletes those that have expired by `now`. */
export async function insertUpstreamRequest(
  tx: Tx,
  request: Omit<UpstreamRequestRow, 'answered' | 'identity'>,
  now: number,
): Promise<void> {
  await tx.sql.deleteFrom('upstream_requests').where('expires_ts', '<=', now).execute()
  await sql`insert into upstream_requests
      (state_hash, provider_id, browser_hash, nonce, code_verifier, continue_path, link_to, again_since_ts,
      expires_ts)
    values (${request.state_hash}, ${request.provider_id}, ${request.browser_hash}, ${request.nonce},
      ${request.code_verifier}, ${request.continue_path}, ${request.link_to},
      ${request.again_since_ts}::bigint, ${request.expires_ts}::bigint)`.execute(tx.sql)
}

/** Returns a sign-in, unless it has expired by `now`. */
export async function findUpstreamRequest(
  db: Db,
  stateHash: string,
  now: number,
): Promise<UpstreamRequestRow | undefined> {
  const { rows } = await sql<UpstreamRequestRow>`select * from upstream_requests
    where state_hash = ${stateHash} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

/** Takes note that the provider has answered; false if it has answered before. */
export async function markUpstreamAnswered(tx: Tx, stateHash: string): Promise<boolean> {
  const { numAffectedRows } = await sql`update upstream_requests set answered = true
    where state_hash = ${stateHash} and not answered`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** Keeps the person whom the provider has named, until an account here is found. */
export async function storeUpstreamIdentity(tx: Tx, stateHash: string, identity: string): Promise<void> {
  await sql`update upstream_requests set identity = ${identity} where state_hash = ${stateHash}`.execute(tx.sql)
}

/** Uses up the person whom the provider has named; false if another request has done so. */
export async function takeUpstreamIdentity(tx: Tx, stateHash: string): Promise<boolean> {
  const { numAffectedRows } = await sql`update upstream_requests set identity = null
    where state_hash = ${stateHash} and identity is not null`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** Lets a browser end the sign-ins that it began, although its cookie changes. */
export async function moveUpstreamRequests(tx: Tx, browser: { from: string; to: string }): Promise<void> {
  await sql`update upstream_requests set browser_hash = ${browser.to}
    where browser_hash = ${browser.from}`.execute(tx.sql)
}
