import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, NotFoundError } from '../../core/errors.ts'
import { type ServerName, serverNameOf, type UserId } from '../../core/ids.ts'
import type { Db } from '../../storage/engine/database.ts'
import { deleteDelayedEvents } from '../../storage/rooms/delayed-events.ts'
import { deleteLeavesOfUser } from '../../storage/rtc/delegated-leaves.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findUser, updateLocked, updateShadowBanned, updateSuspended } from '../../storage/users/users.ts'

type Capabilities = Pick<App, 'database' | 'serverName'>

/** Finds an account of this server. Throws M_INVALID_PARAM for remote users, and M_NOT_FOUND for unknown users. */
export async function findLocalUser(
  { serverName, database }: { serverName: ServerName; database: Db },
  userId: UserId,
): Promise<UserRow> {
  if (serverNameOf(userId) !== serverName) throw new InvalidParamError('This user is not on this server')
  const user = await findUser(database, userId)
  if (!user) throw new NotFoundError('Unknown user')
  return user
}

/**
 * Finds an account that administrators may lock and suspend. Throws as findLocalUser, M_NOT_FOUND for deactivated users
 * and M_FORBIDDEN for administrators.
 * https://spec.matrix.org/v1.19/client-server-api/#server-administration
 */
export async function findModerated(app: { serverName: ServerName; database: Db }, userId: UserId): Promise<UserRow> {
  const user = await findLocalUser(app, userId)
  if (user.deactivated_ts !== null) throw new NotFoundError('Unknown user')
  if (user.is_admin) throw new ForbiddenError('This user is an administrator')
  return user
}

/** Locks or unlocks an account. Throws as findModerated. */
export async function setLocked(
  app: Capabilities & Pick<App, 'clock'>,
  userId: UserId,
  locked: boolean,
): Promise<void> {
  const user = await findModerated(app, userId)
  if (user.locked === locked) return
  await app.database.write((tx) => updateLocked(tx, userId, locked ? app.clock.now() : null))
}

/** Suspends or unsuspends an account. Throws as findModerated. */
export async function setSuspended(app: Capabilities, userId: UserId, suspended: boolean): Promise<void> {
  await findModerated(app, userId)
  await app.database.write((tx) => updateSuspended(tx, userId, suspended))
}

/**
 * Shadow-bans a user, or lifts that: what the user sends then only appears to succeed (`pretend` of the endpoints).
 * Delayed events are dropped. Throws as findModerated; the ban of any local user can be lifted.
 */
export async function setShadowBanned(app: Capabilities, userId: UserId, shadowBanned: boolean): Promise<void> {
  await (shadowBanned ? findModerated(app, userId) : findLocalUser(app, userId))
  await app.database.write(async (tx) => {
    await updateShadowBanned(tx, userId, shadowBanned)
    if (!shadowBanned) return
    await deleteDelayedEvents(tx, userId)
    await deleteLeavesOfUser(tx, userId)
  })
}
