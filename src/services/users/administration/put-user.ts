import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { localpartOf, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import type { UserRow } from '../../../storage/schema/users.ts'
import { endErasure } from '../../../storage/users/erasures.ts'
import type { Threepid } from '../../../storage/users/threepids.ts'
import {
  findUser,
  lockUser,
  markReactivated,
  updateAdmin,
  updateLocked,
  updateUserType,
} from '../../../storage/users/users.ts'
import { findLocalUser, findModerated } from '../account-moderation.ts'
import { createUser } from '../create-user.ts'
import { endAccount } from '../deactivate.ts'
import type { NoticeCapabilities } from '../mail/account-notices.ts'
import { checkNewPassword } from '../new-password.ts'
import { changeProfile } from '../profile.ts'
import { replacePassword } from '../set-password.ts'
import { replaceThreepids } from '../third-party-ids.ts'
import { userIdForNewName, userInUse } from '../user-names.ts'

/** Fields of an account that an administrator sets; absent ones stay. */
export type UserChange = {
  password?: string | undefined
  /** Whether a new password ends the sessions. */
  logOutDevices: boolean
  displayname?: string | undefined
  avatarUrl?: string | undefined
  threepids?: readonly Threepid[] | undefined
  admin?: boolean | undefined
  deactivated?: boolean | undefined
  locked?: boolean | undefined
  /** Null: an ordinary user. */
  userType?: string | null | undefined
  /** Further changes, in the same transaction. */
  also?: ((tx: Tx) => Promise<void>) | undefined
}

type Capabilities = Pick<App, 'database' | 'directory' | 'passwordHasher' | 'jobs'> & NoticeCapabilities
type Prepared = Omit<UserChange, 'password'> & { hash: string | undefined; by: UserId }

/**
 * Creates an account or changes it, in one transaction. Returns whether it is new. Throws M_USER_IN_USE for one that
 * `mustBeNew` and exists, M_INVALID_PARAM, also when administrators take their own rights away, M_FORBIDDEN when they
 * would lock another one, M_INVALID_USERNAME, M_WEAK_PASSWORD, M_THREEPID_IN_USE, and as changeProfile and
 * replacePassword.
 */
export async function putUser(
  app: Capabilities,
  {
    userId,
    by,
    change: { password, ...change },
    mustBeNew = false,
  }: { userId: UserId; by: UserId; change: UserChange; mustBeNew?: boolean },
): Promise<boolean> {
  if (serverNameOf(userId) !== app.serverName) throw new InvalidParamError('This user is not on this server')
  if (change.locked && change.deactivated) throw new InvalidParamError('An account is either locked or deactivated')
  if (change.admin === false && userId === by) throw new InvalidParamError('You cannot end your own rights')
  if (password !== undefined) checkNewPassword(app, password)
  const hash = password === undefined ? undefined : await app.passwordHasher.hash(password)
  const prepared = { ...change, hash, by }
  const isKnown = (await findUser(app.database, userId)) !== undefined
  if (mustBeNew && isKnown) throw userInUse()
  const created = isKnown ? undefined : await create(app, userId, prepared).catch(unlessTaken(mustBeNew))
  for (const job of created ?? (await alter(app, userId, prepared))) await app.jobs.attend(job)
  return created !== undefined
}

/** Another request may have created the account just now, which is then changed. */
function unlessTaken(mustBeNew: boolean) {
  return (error: unknown): undefined => {
    if (mustBeNew || !(error instanceof MatrixError) || error.errcode !== 'M_USER_IN_USE') throw error
  }
}

async function create(app: Capabilities, userId: UserId, { hash, ...change }: Prepared): Promise<number[]> {
  const localpart = localpartOf(userId)
  if (userIdForNewName(app, localpart) !== userId)
    throw new MatrixError(400, 'M_INVALID_USERNAME', 'User names have no capital letters')
  let jobs: number[] = []
  await createUser(app, { localpart, passwordHash: hash }, async (tx) => {
    jobs = await apply(app, tx, userId, { ...change, hash: undefined })
  })
  return jobs
}

function alter(app: Capabilities, userId: UserId, change: Prepared): Promise<number[]> {
  return app.database.write(async (tx) => {
    await lockUser(tx, userId)
    return apply(app, tx, userId, change)
  })
}

/** Applies the changes in an order in which each is permitted. Returns the jobs that follow. */
async function apply(app: Capabilities, tx: Tx, userId: UserId, change: Prepared): Promise<number[]> {
  const { hash, logOutDevices, displayname, avatarUrl, threepids, deactivated } = change
  const user = (await findUser(tx, userId))!
  const isEnded = user.deactivated_ts !== null
  if (deactivated === false && isEnded) await reactivate(app, tx, { user, hash })
  if (hash !== undefined) await replacePassword(app, tx, { userId, hash, logOutDevices })
  const jobs: (number | undefined)[] = []
  for (const [field, value] of Object.entries({ displayname, avatar_url: avatarUrl }))
    if (value !== undefined) jobs.push(await changeProfile(app, tx, { userId, field, value }))
  if (threepids) await replaceThreepids(app, tx, { userId, threepids })
  await change.also?.(tx)
  await applyStanding(app, tx, user, change)
  if (deactivated === true && !isEnded) jobs.push(await endAccount(tx, { userId, now: app.clock.now() }))
  return jobs.filter((job) => job !== undefined)
}

async function applyStanding(
  app: Capabilities,
  tx: Tx,
  { user_id: userId, is_admin, is_guest, locked, user_type, deactivated_ts }: UserRow,
  change: Prepared,
): Promise<void> {
  if (change.locked !== undefined && change.locked !== locked) {
    await findModerated({ ...app, database: tx }, userId)
    await updateLocked(tx, userId, change.locked ? app.clock.now() : null)
  }
  if (change.admin !== undefined && change.admin !== is_admin) {
    const isEnded = deactivated_ts !== null && change.deactivated !== false
    if (change.admin && (is_guest || isEnded))
      throw new InvalidParamError('Guests and deactivated users cannot be administrators')
    await updateAdmin(tx, userId, change.admin)
  }
  if (change.userType !== undefined && change.userType !== user_type) await updateUserType(tx, userId, change.userType)
}

async function reactivate(
  { config }: Capabilities,
  tx: Tx,
  { user, hash }: { user: UserRow; hash: string | undefined },
): Promise<void> {
  if (hash === undefined && !user.in_directory && config.sign_in.passwords !== 'disabled')
    throw new InvalidParamError('password: a deactivated account has none. Set one to reactivate it.')
  await endDeactivation(tx, user)
}

/** Lets a deactivated user sign in again, once there is a way to. Throws as findLocalUser. */
export async function reactivateUser(app: Pick<App, 'database' | 'serverName'>, userId: UserId): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findLocalUser({ ...app, database: tx }, userId)
    if (user.deactivated_ts !== null) await endDeactivation(tx, user)
  })
}

async function endDeactivation(tx: Tx, { user_id: userId, erased }: UserRow): Promise<void> {
  await markReactivated(tx, userId)
  if (erased) await endErasure(tx, userId)
}

/** Makes a user an administrator, or ends that. Throws as findLocalUser, and M_INVALID_PARAM for oneself. */
export async function setAdmin(
  app: Capabilities,
  { userId, by, admin }: { userId: UserId; by: UserId; admin: boolean },
): Promise<void> {
  if (!admin && userId === by) throw new InvalidParamError('You cannot end your own rights')
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findLocalUser({ ...app, database: tx }, userId)
    await applyStanding(app, tx, user, { admin, by, hash: undefined, logOutDevices: false })
  })
}
