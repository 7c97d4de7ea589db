import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { ProfileRow } from '../schema/users.ts'

/** A user's profile: `displayname`, `avatar_url` and any further fields that are set. */
export type Profile = Record<string, Json>

/** The fields that the specification defines, which are always strings. */
type Names = { displayname: string; avatar_url: string }

/** Returns a local user's profile; empty if nothing is set. */
export async function loadProfile(db: Db, userId: UserId): Promise<Profile> {
  return (await loadProfiles(db, [userId])).get(userId) ?? {}
}

/** Profiles of several local users, in one query; users without any are absent. */
export async function loadProfiles(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, Profile>> {
  const { rows } = await sql<ProfileRow>`select * from profiles where user_id = any(${userIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, profileOf(row)]))
}

/** A profile as others get it by their syncs. `isHidden`: they do not, as the user is shadow-banned. */
export type FollowedProfile = { profile: Profile; isHidden: boolean }

/** As `loadProfiles`; shared, because all users who share a room with a user request a changed profile at once. */
export const loadFollowedProfiles = sharedLoads<UserId, FollowedProfile>(
  async (db, userIds) => {
    const { rows } = await sql<ProfileRow & { shadow_banned: boolean }>`select profiles.*, shadow_banned from profiles
      join users using (user_id) where user_id = any(${userIds}::text[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.user_id, { profile: profileOf(row), isHidden: row.shadow_banned }]))
  },
  { whileReading: false },
)

/** Replaces a profile, in which `changedField` changed, and appends to the stream. */
export async function storeProfile(
  tx: Tx,
  { userId, profile, changedField }: { userId: UserId; profile: Profile; changedField: string },
): Promise<void> {
  const { displayname = null, avatar_url = null, ...others } = profile as Profile & Partial<Names>
  await sql`insert into profiles (user_id, displayname, avatar_url, fields)
    values (${userId}, ${displayname}, ${avatar_url}, ${JSON.stringify(others)})
    on conflict (user_id) do update set displayname = excluded.displayname, avatar_url = excluded.avatar_url,
      fields = excluded.fields`.execute(tx.sql)
  appendToStream(tx, { kind: 'profile', user_id: userId, detail: changedField })
}

/** Deletes a profile. */
export async function deleteProfile(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('profiles').where('user_id', '=', userId).execute()
  appendToStream(tx, { kind: 'profile', user_id: userId })
}

function profileOf({ displayname, avatar_url, fields }: ProfileRow): Profile {
  return {
    ...(displayname !== null && { displayname }),
    ...(avatar_url !== null && { avatar_url }),
    ...JSON.parse(fields),
  }
}
