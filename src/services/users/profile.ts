import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import { isWithin255Bytes, type UserId } from '../../core/ids.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import type { Json } from '../../core/pdu.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { storableText } from '../../storage/engine/storable-text.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import { loadProfile, type Profile, storeProfile } from '../../storage/users/profiles.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'

/** The job that updates a user's member events after a new name or avatar. */
export const UPDATE_MEMBER_PROFILES = 'update_member_profiles'

const MAX_PROFILE_BYTES = 64 * 1024
export const MAX_DISPLAYNAME_CHARACTERS = 256
const MAX_AVATAR_URL_CHARACTERS = 1000
/** The specification's own fields, and others by the grammar for namespaced identifiers. */
const FIELD_NAME = /^(displayname|avatar_url|[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+)$/

/** Returns the part of a name given by another system that a display name can have. */
export function fittingDisplayname(name: string): string {
  const start = name.slice(0, MAX_DISPLAYNAME_CHARACTERS).replace(/[\ud800-\udbff]$/, '')
  return storableText(start.toWellFormed())
}

/**
 * Returns the profile of a local user. Throws M_NOT_FOUND. https://spec.matrix.org/v1.19/client-server-api/#profiles
 */
export async function getProfile(app: Pick<App, 'database'>, userId: UserId): Promise<Profile> {
  const user = await findUser(app.database, userId)
  if (!user || user.erased) throw new NotFoundError('There is no profile for this user')
  return loadProfile(app.database, userId)
}

/** Returns one profile field of a local user. Throws M_NOT_FOUND. */
export async function getProfileField(app: Pick<App, 'database'>, userId: UserId, field: string): Promise<Json> {
  const profile = await getProfile(app, userId)
  if (!Object.hasOwn(profile, field)) throw new NotFoundError('The profile has no such field')
  return profile[field]!
}

/**
 * Sets a profile field. `undefined` removes it, and so does the empty string for names and avatars; null is an ordinary
 * value. Returns the job that copies a new name or avatar to the user's rooms, if needed. Throws M_KEY_TOO_LARGE,
 * M_PROFILE_TOO_LARGE and M_INVALID_PARAM.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname
 */
export async function setProfileField(
  app: Pick<App, 'database' | 'clock'>,
  change: ProfileChange,
): Promise<number | undefined> {
  return app.database.write((tx) => changeProfile(app, tx, change))
}

export type ProfileChange = { userId: UserId; field: string; value: Json | undefined }

/** Sets a profile field within a larger transaction. Returns and throws as setProfileField. */
export async function changeProfile(
  app: Pick<App, 'clock'>,
  tx: Tx,
  { userId, field, value }: ProfileChange,
): Promise<number | undefined> {
  checkFieldName(field)
  checkValue(field, value)
  await lockUser(tx, userId)
  const before = await loadProfile(tx, userId)
  const profile = withField(before, field, value)
  const text = canonicalJson(profile, { strict: false })
  if (text === canonicalJson(before, { strict: false })) return undefined
  if (Buffer.byteLength(text) > MAX_PROFILE_BYTES) {
    throw new MatrixError(400, 'M_PROFILE_TOO_LARGE', 'A profile can have 64 KiB at most')
  }
  await storeProfile(tx, { userId, profile, changedField: field })
  if (field !== 'displayname' && field !== 'avatar_url') return undefined
  const payload = { user_id: userId }
  return enqueueJob(tx, { kind: UPDATE_MEMBER_PROFILES, key: userId, payload, now: app.clock.now() })
}

function checkFieldName(field: string): void {
  if (!isWithin255Bytes(field)) {
    throw new MatrixError(400, 'M_KEY_TOO_LARGE', 'Names of profile fields have at most 255 bytes')
  }
  if (!FIELD_NAME.test(field)) throw new InvalidParamError('This is not a name for a profile field')
}

function checkValue(field: string, value: Json | undefined): void {
  if (value === undefined) return
  const limits: Record<string, number> = {
    displayname: MAX_DISPLAYNAME_CHARACTERS,
    avatar_url: MAX_AVATAR_URL_CHARACTERS,
    'm.tz': 255,
  }
  const limit = limits[field]
  if (limit === undefined) return
  if (typeof value !== 'string') throw new InvalidParamError(`${field}: must be a string`)
  if (value.length > limit) throw new InvalidParamError(`${field}: has at most ${limit} characters`)
}

function withField(profile: Profile, field: string, value: Json | undefined): Profile {
  const { [field]: _replaced, ...others } = profile
  const isEmpty = value === undefined || (value === '' && (field === 'displayname' || field === 'avatar_url'))
  return isEmpty ? others : { ...others, [field]: value }
}
