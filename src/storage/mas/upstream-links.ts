import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import type { UpstreamLinkRow } from '../schema/upstream.ts'

/** A link between an account at an identity provider and a user. */
export type ListedLink = UpstreamLinkRow & { user_created_ts: number }

/** Which links a list has; null: any. */
export type LinkFilter = {
  userId: UserId | null
  providerId: string | null
  subject: string | null
  /** A part of the label, in lower case. */
  label: string | null
}

const time = sql`linked_ts`
const key = sql`provider_id || ' ' || subject`

/** Returns a page of the links. */
export async function listUpstreamLinks(db: Db, filter: LinkFilter, page: UlidPage): Promise<ListedLink[]> {
  const { rows } = await sql<ListedLink>`${links()} where ${matches(filter)} and ${inPage(time, key, page)}`.execute(
    db.sql,
  )
  return rows
}

/** Returns how many links a list has. */
export async function countUpstreamLinks(db: Db, filter: LinkFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from upstream_links
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the link with a ULID. */
export async function findUpstreamLink(db: Db, id: Ulid): Promise<ListedLink | undefined> {
  const { rows } = await sql<ListedLink>`${links()} where ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function links() {
  return sql`select upstream_links.*, users.created_ts as user_created_ts
    from upstream_links join users using (user_id)`
}

function matches({ userId, providerId, subject, label }: LinkFilter) {
  const conditions = [
    sql`true`,
    ...(userId === null ? [] : [sql`upstream_links.user_id = ${userId}`]),
    ...(providerId === null ? [] : [sql`provider_id = ${providerId}`]),
    ...(subject === null ? [] : [sql`subject = ${subject}`]),
    ...(label === null ? [] : [sql`strpos(lower(label), ${label}) > 0`]),
  ]
  return sql.join(conditions, sql` and `)
}
