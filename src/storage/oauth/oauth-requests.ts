import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { OAuthRequestRow } from '../schema/oauth.ts'

/** An authorization request that nobody has consented to. */
export type NewOAuthRequest = Omit<
  OAuthRequestRow,
  | 'user_id'
  | 'authenticated_ts'
  | 'granted_scope'
  | 'code_hash'
  | 'exchanged_ts'
  | 'session_nid'
  | 'upstream_session_nid'
>

/** The consent of a user. `expires_ts`: when the code expires. */
export type OAuthConsent = {
  [Key in 'user_id' | 'authenticated_ts' | 'granted_scope' | 'code_hash']: NonNullable<OAuthRequestRow[Key]>
} & Pick<OAuthRequestRow, 'request_id' | 'expires_ts' | 'upstream_session_nid'>

/** Adds a request, and deletes those that have expired by its creation. */
export async function insertOAuthRequest(tx: Tx, request: NewOAuthRequest): Promise<void> {
  await tx.sql.deleteFrom('oauth_requests').where('expires_ts', '<=', request.created_ts).execute()
  await tx.sql.insertInto('oauth_requests').values(request).execute()
}

/** Returns a request that has not expired. */
export async function findOAuthRequest(db: Db, requestId: string, now: number): Promise<OAuthRequestRow | undefined> {
  const { rows } = await sql<OAuthRequestRow>`select * from oauth_requests
    where request_id = ${requestId} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

/** Stores a consent with its code, in place of an earlier one; false if the earlier code was exchanged. */
export async function storeOAuthConsent(tx: Tx, consent: OAuthConsent): Promise<boolean> {
  const result = await sql`update oauth_requests set user_id = ${consent.user_id},
      authenticated_ts = ${consent.authenticated_ts}::bigint, granted_scope = ${consent.granted_scope},
      code_hash = ${consent.code_hash}, expires_ts = ${consent.expires_ts}::bigint,
      upstream_session_nid = ${consent.upstream_session_nid}::bigint
    where request_id = ${consent.request_id} and exchanged_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Ends a request that the user refuses; false if there is none or its code was issued. */
export async function deleteOAuthRequest(tx: Tx, requestId: string): Promise<boolean> {
  const result = await sql`delete from oauth_requests where request_id = ${requestId} and code_hash is null`.execute(
    tx.sql,
  )
  return result.numAffectedRows === 1n
}

/** Returns the user to whom a code was issued. */
export async function findCodeUser(db: Db, codeHash: string): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from oauth_requests
    where code_hash = ${codeHash}`.execute(db.sql)
  return rows[0]?.user_id
}

/** Returns the request of a code, and locks it until the transaction ends. */
export async function lockOAuthCode(tx: Tx, codeHash: string): Promise<OAuthRequestRow | undefined> {
  const { rows } = await sql<OAuthRequestRow>`select * from oauth_requests
    where code_hash = ${codeHash} for update`.execute(tx.sql)
  return rows[0]
}

/** Marks a code as exchanged; its row stays until `keptUntil`, so that a second use is noticed. */
export async function markCodeExchanged(
  tx: Tx,
  { requestId, sessionNid, now, keptUntil }: { requestId: string; sessionNid: number; now: number; keptUntil: number },
): Promise<void> {
  await sql`update oauth_requests set exchanged_ts = ${now}::bigint, session_nid = ${sessionNid}::bigint,
      expires_ts = ${keptUntil}::bigint
    where request_id = ${requestId}`.execute(tx.sql)
}
