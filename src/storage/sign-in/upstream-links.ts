import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { UpstreamLinkRow } from '../schema/upstream.ts'

/** An account at an identity provider. */
export type UpstreamAccount = { providerId: string; subject: string }

/** Returns the user whom an account at a provider signs in; undefined if it is not linked. */
export async function findLinkedUser(db: Db, { providerId, subject }: UpstreamAccount): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from upstream_links
    where provider_id = ${providerId} and subject = ${subject}`.execute(db.sql)
  return rows[0]?.user_id
}

/** Returns the links of a user, the oldest first. */
export async function loadUpstreamLinks(db: Db, userId: UserId): Promise<UpstreamLinkRow[]> {
  const { rows } = await sql<UpstreamLinkRow>`select * from upstream_links where user_id = ${userId}
    order by linked_ts, provider_id, subject`.execute(db.sql)
  return rows
}

/** Links an account at a provider; false if it is linked to another user. */
export async function insertUpstreamLink(tx: Tx, link: UpstreamLinkRow): Promise<boolean> {
  const { rows } = await sql<{ user_id: UserId }>`insert into upstream_links
      (provider_id, subject, user_id, label, linked_ts)
    values (${link.provider_id}, ${link.subject}, ${link.user_id}, ${link.label}, ${link.linked_ts}::bigint)
    on conflict (provider_id, subject) do update set label = excluded.label returning user_id`.execute(tx.sql)
  return rows[0]?.user_id === link.user_id
}

/** Removes a link of a user; false if there is none. */
export async function deleteUpstreamLink(
  tx: Tx,
  { userId, providerId, subject }: UpstreamAccount & { userId: UserId },
): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from upstream_links
    where provider_id = ${providerId} and subject = ${subject} and user_id = ${userId}`.execute(tx.sql)
  return numAffectedRows === 1n
}

/**
 * Forgets by which names and addresses an erased user is known to providers. The links stay, so that the person does
 * not get a new account by the same way.
 */
export async function eraseUpstreamLabels(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.updateTable('upstream_links').set({ label: '' }).where('user_id', '=', userId).execute()
}
