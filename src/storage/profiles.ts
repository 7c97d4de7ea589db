import { sql } from 'kysely'
import type { Json } from '../core/events/pdu.ts'
import type { UserId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import { appendToStream } from './stream-append.ts'
import type { ProfileRow } from './users-schema.ts'

/** A user's profile: `displayname`, `avatar_url` and any further fields, those that are set. */
export type Profile = Record<string, Json>

/** A local user's profile; empty for users that have set nothing. */
export async function loadProfile(db: Db, userId: UserId): Promise<Profile> {
  return (await loadProfiles(db, [userId])).get(userId) ?? {}
}

/** Profiles of several local users, in one query; users without any are absent. */
export async function loadProfiles(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, Profile>> {
  const { rows } = await sql<ProfileRow>`select * from profiles where user_id = any(${userIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, profileOf(row)]))
}

/** Sets a field, or removes it (`value` null), and tells the stream. */
export async function storeProfileField(
  tx: Tx,
  { userId, field, value }: { userId: UserId; field: string; value: Json | null },
): Promise<void> {
  await sql`insert into profiles (user_id) values (${userId}) on conflict do nothing`.execute(tx.sql)
  const { rows } = await sql<ProfileRow>`select * from profiles where user_id = ${userId} for update`.execute(tx.sql)
  const { displayname = null, avatar_url = null, ...others } = withField(profileOf(rows[0]!), field, value)
  await sql`update profiles set displayname = ${displayname}, avatar_url = ${avatar_url},
    fields = ${JSON.stringify(others)} where user_id = ${userId}`.execute(tx.sql)
  appendToStream(tx, { kind: 'profile', user_id: userId, detail: field })
}

/** Removes a profile altogether. */
export async function deleteProfile(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from profiles where user_id = ${userId}`.execute(tx.sql)
  appendToStream(tx, { kind: 'profile', user_id: userId })
}

function profileOf({ displayname, avatar_url, fields }: ProfileRow): Profile {
  return {
    ...(displayname !== null && { displayname }),
    ...(avatar_url !== null && { avatar_url }),
    ...JSON.parse(fields),
  }
}

function withField(profile: Profile, field: string, value: Json | null): Profile {
  const others = Object.entries(profile).filter(([name]) => name !== field)
  return Object.fromEntries(value === null ? others : [...others, [field, value]])
}
