import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { OAuthClientRow } from '../schema/oauth.ts'

/** The maximum number of expired clients that one registration examines. */
const EXAMINED = 100

/** Adds a client, or prolongs it if it is registered already. */
export async function upsertOAuthClient(tx: Tx, client: OAuthClientRow): Promise<void> {
  await sql`insert into oauth_clients (client_id, metadata, created_ts, expires_ts)
    values (${client.client_id}, ${client.metadata}, ${client.created_ts}::bigint, ${client.expires_ts}::bigint)
    on conflict (client_id) do update set expires_ts = excluded.expires_ts`.execute(tx.sql)
}

/** Returns a registered client. */
export async function findOAuthClient(db: Db, clientId: string): Promise<OAuthClientRow | undefined> {
  const { rows } = await sql<OAuthClientRow>`select * from oauth_clients where client_id = ${clientId}`.execute(db.sql)
  return rows[0]
}

/** Sets when a client expires. */
export async function prolongOAuthClient(tx: Tx, clientId: string, expiresTs: number): Promise<void> {
  await tx.sql.updateTable('oauth_clients').set({ expires_ts: expiresTs }).where('client_id', '=', clientId).execute()
}

/** Deletes some clients that have expired by `now`; those with a session live until `expiresTs` instead. */
export async function deleteUnusedClients(
  tx: Tx,
  { now, expiresTs }: { now: number; expiresTs: number },
): Promise<void> {
  await sql`with expired as materialized (
      select client_id from oauth_clients where expires_ts <= ${now}::bigint order by expires_ts
      limit ${EXAMINED}::int for update skip locked),
    used as (
      update oauth_clients set expires_ts = ${expiresTs}::bigint where client_id in (select client_id from expired)
        and exists (select 1 from oauth_sessions where oauth_sessions.client_id = oauth_clients.client_id))
    delete from oauth_clients where client_id in (select client_id from expired)
      and not exists (select 1 from oauth_sessions where oauth_sessions.client_id = oauth_clients.client_id)`.execute(
    tx.sql,
  )
}
