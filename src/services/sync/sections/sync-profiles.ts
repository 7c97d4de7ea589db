import type { App } from '../../../app.ts'
import { isUserId, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { loadMembersWithProfiles } from '../../../storage/rooms/membership/member-profiles.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type FollowedProfile, loadFollowedProfiles, type Profile } from '../../../storage/users/profiles.ts'
import { roomMateChanges } from './room-mates.ts'
import type { SyncViewer } from './sync-room.ts'

/** News of a profile for a client: fields with their values, and removed fields. */
export type ProfileNews = { updated: Profile; removed: string[] }

/** By local user who shares a room; null: the client can forget the user's profile. */
export type ProfilesNews = Map<UserId, ProfileNews | null>

/** The names of the fields that a client follows; undefined: all. */
export type ProfileFields = ReadonlySet<string> | undefined

/** Users for whom the client gets all fields that it follows: members of rooms, and other users. */
export type WholeProfiles = { roomIds: readonly RoomId[]; userIds: Iterable<UserId> }

/** The changed fields of users; undefined: the whole profile was deleted. */
type ChangedFields = Map<UserId, Set<string> | undefined>

type Reading = Pick<App, 'config' | 'database'>
type Viewer = Pick<SyncViewer, 'userId' | 'ignored'>

/** Profiles are read in groups, each of which fits into memory. */
const PROFILES_AT_ONCE = 200

/** Returns the profiles of users who share one of `joined`, among these, and the user's own. */
export async function allProfiles(
  app: Reading,
  viewer: Viewer,
  { fields, joined, whole }: { fields: ProfileFields; joined: readonly RoomId[]; whole: WholeProfiles },
): Promise<ProfilesNews> {
  const isWanted = wantedBy(viewer)
  const others = [...whole.userIds].filter(isWanted)
  const mates = await roomMateChanges(app, viewer.userId, { rows: [], joined: new Set(joined), to: 0, others })
  const members = await loadMembersWithProfiles(app.database, whole.roomIds)
  const users = new Set([viewer.userId, ...mates.present, ...members.filter(isWanted)])
  return readProfiles(app, viewer.userId, { fields, changed: new Map(), whole: users })
}

/**
 * Returns changes of profiles of users who share a room now, and the whole profiles of these users and, unless members
 * are loaded lazily, of users who did not share a room before. See `roomMateChanges` for `rows`, `joined` and `to`.
 */
export async function profileChanges(
  app: Reading,
  viewer: Viewer,
  {
    fields,
    whole,
    isLazy,
    ...news
  }: {
    fields: ProfileFields
    whole: WholeProfiles
    isLazy: boolean
    rows: readonly StreamRow[]
    joined: ReadonlySet<RoomId>
    to: number
  },
): Promise<ProfilesNews> {
  const isWanted = wantedBy(viewer)
  const changed = changedFields(news.rows, { fields, isWanted: (user) => user === viewer.userId || isWanted(user) })
  const members = await loadMembersWithProfiles(app.database, whole.roomIds)
  const shown = [...whole.userIds].filter(isWanted)
  const others = [...new Set([...changed.keys(), ...shown])].filter((user) => user !== viewer.userId)
  const mates = await roomMateChanges(app, viewer.userId, { ...news, others, isWanted })
  for (const user of changed.keys()) if (user !== viewer.userId && !mates.present.has(user)) changed.delete(user)
  const users = new Set([...members.filter(isWanted), ...shown.filter((user) => mates.present.has(user))])
  if (!isLazy) for (const user of mates.met) users.add(user)
  const profiles = await readProfiles(app, viewer.userId, { fields, changed, whole: users })
  for (const user of mates.parted) profiles.set(user, null)
  return profiles
}

/** Returns the users whose member events are among these. */
export function membersIn(events: Iterable<object>): Set<UserId> {
  const users = new Set<UserId>()
  for (const event of events) {
    const { type, state_key = '' } = event as { type?: unknown; state_key?: string }
    if (type === 'm.room.member' && isUserId(state_key)) users.add(state_key)
  }
  return users
}

/** Returns whether another user's profile may be sent: only those of local users are known, and ignored users are not. */
function wantedBy({ userId, ignored }: Viewer): (other: UserId) => boolean {
  const ourName = serverNameOf(userId)
  return (other) => other !== userId && serverNameOf(other) === ourName && !ignored.has(other)
}

function changedFields(
  rows: readonly StreamRow[],
  { fields, isWanted }: { fields: ProfileFields; isWanted: (user: UserId) => boolean },
): ChangedFields {
  const changed: ChangedFields = new Map()
  for (const { kind, user_id, detail } of rows) {
    if (kind !== 'profile' || user_id === null || !isWanted(user_id)) continue
    const known = changed.has(user_id) ? changed.get(user_id) : new Set<string>()
    if (detail === null) changed.set(user_id, undefined)
    else if (!fields || fields.has(detail)) changed.set(user_id, known?.add(detail))
  }
  return changed
}

/** Reads profiles up to the limit of a response. Instead of changes beyond it, the client forgets what it knows. */
async function readProfiles(
  app: Reading,
  own: UserId,
  { fields, changed, whole }: { fields: ProfileFields; changed: ChangedFields; whole: ReadonlySet<UserId> },
): Promise<ProfilesNews> {
  const news: ProfilesNews = new Map()
  const users = [...new Set([...changed.keys(), ...whole])]
  let left = app.config.limits.answers.profiles
  for (let start = 0; start < users.length; start += PROFILES_AT_ONCE) {
    const some = users.slice(start, start + PROFILES_AT_ONCE)
    const profiles = left > 0 ? await loadFollowedProfiles(app.database, some) : new Map<UserId, FollowedProfile>()
    for (const user of some) {
      const followed = profiles.get(user)
      if (followed?.isHidden && user !== own) continue
      const isChanged = changed.has(user)
      const ofUser = newsOf(followed?.profile, {
        fields,
        isWhole: whole.has(user),
        isChanged,
        names: changed.get(user),
      })
      left -= ofUser ? JSON.stringify(ofUser).length : 0
      if (left > 0 && ofUser) news.set(user, ofUser)
      else if (isChanged && (left <= 0 || !followed)) news.set(user, null)
    }
  }
  return news
}

function newsOf(
  profile: Profile | undefined,
  {
    fields,
    isWhole,
    isChanged,
    names,
  }: { fields: ProfileFields; isWhole: boolean; isChanged: boolean; names: Set<string> | undefined },
): ProfileNews | undefined {
  if (!profile) return undefined
  const isAll = isWhole || (isChanged && !names)
  const isSent = (name: string) => (isAll ? !fields || fields.has(name) : names?.has(name))
  const updated = Object.fromEntries(Object.entries(profile).filter(([name]) => isSent(name)))
  const removed = [...(names ?? [])].filter((name) => !Object.hasOwn(profile, name))
  return Object.keys(updated).length + removed.length > 0 ? { updated, removed } : undefined
}
