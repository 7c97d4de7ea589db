import { sql } from 'kysely'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import type { OAuthClientRow } from '../schema/oauth.ts'

/** Which OAuth clients a list has; null: any. */
export type OAuthClientFilter = {
  /** A part of the name, in lower case. */
  name: string | null
  /** A part of the URL, in lower case. */
  uri: string | null
  grantType: string | null
  hasSessions: boolean | null
}

const time = sql`created_ts`
const key = sql`client_id`

/** Returns a page of the clients. */
export async function listOAuthClients(db: Db, filter: OAuthClientFilter, page: UlidPage): Promise<OAuthClientRow[]> {
  const { rows } = await sql<OAuthClientRow>`select * from oauth_clients
    where ${matches(filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many clients a list has. */
export async function countOAuthClients(db: Db, filter: OAuthClientFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from oauth_clients
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the clients with these ULIDs. */
export async function findOAuthClients(db: Db, ids: readonly Ulid[]): Promise<OAuthClientRow[]> {
  const any = ids.map((id) => sql`(${hasUlid(time, key, id)})`)
  const { rows } = await sql<OAuthClientRow>`select * from oauth_clients
    where ${sql.join([sql`false`, ...any], sql` or `)}`.execute(db.sql)
  return rows
}

function matches({ name, uri, grantType, hasSessions }: OAuthClientFilter) {
  // The name of a client cannot have a NUL, which PostgreSQL refuses, but its URLs can.
  const metadata = sql`replace(metadata, '\\u0000', '\\ufffd')::jsonb`
  const isInUse = sql`exists (select 1 from oauth_sessions where oauth_sessions.client_id = oauth_clients.client_id)`
  const conditions = [
    sql`true`,
    ...(name === null ? [] : [sql`strpos(lower(${metadata} ->> 'client_name'), ${name}) > 0`]),
    ...(uri === null ? [] : [sql`strpos(lower(${metadata} ->> 'client_uri'), ${uri}) > 0`]),
    ...(grantType === null ? [] : [sql`${metadata} -> 'grant_types' @> to_jsonb(${grantType}::text)`]),
    ...(hasSessions === null ? [] : [sql`${isInUse} = ${hasSessions}::boolean`]),
  ]
  return sql.join(conditions, sql` and `)
}
