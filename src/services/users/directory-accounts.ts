import type { App } from '../../app.ts'
import { isReserved } from '../../core/appservice.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { isStrictLocalpart, localpartOf, type UserId } from '../../core/ids.ts'
import { parseEmailAddress } from '../../core/text/email-address.ts'
import { type Directory, DirectoryUnavailable, type DirectoryUser } from '../../infra/users/directory.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findThreepidUser } from '../../storage/users/threepids.ts'
import { findUser, lockUser, moveToDirectory } from '../../storage/users/users.ts'
import { createUser } from './create-user.ts'
import type { NamedAccount } from './find-account.ts'
import { fittingDisplayname } from './profile.ts'
import { requireUnreserved } from './reserved-names.ts'
import { userIdForNewName } from './user-names.ts'

/** The password of a user of the directory is right, but the user has and gets no account. */
export class NoAccountError extends ForbiddenError {}

type Capabilities = Pick<
  App,
  'config' | 'serverName' | 'clock' | 'database' | 'passwordHasher' | 'logger' | 'rateLimiter'
>

/**
 * Returns the account of the directory's user with a name and a password, and creates it at the first success; undefined
 * if there is no such user. Accounts with a password of their own make the directory answer too, without the password:
 * neither the time nor an outage reveals which accounts exist. Throws 503, M_LIMIT_EXCEEDED, and
 * NoAccountError.
 */
export async function checkInDirectory(
  app: Capabilities,
  directory: Directory,
  { account: { user, name }, password }: { account: NamedAccount; password: string },
): Promise<UserRow | undefined> {
  if (name === undefined || !isName(name)) return undefined
  const isTried = user === undefined || user.in_directory || mayBeLinked(app, user)
  const admit = (entry: string) => app.rateLimiter.take('login', `ldap ${entry}`)
  const attempt = { name, password: isTried ? password : undefined, admit }
  const found = await directory.authenticate(attempt).catch(explainOutage)
  if (!found) return undefined
  const userId = userIdOf(app, found)
  if (user && user.user_id !== userId) return undefined
  return accountOf(app, userId, found)
}

function userIdOf(app: Capabilities, { localpart }: DirectoryUser): UserId {
  try {
    const userId = userIdForNewName(app, localpart)
    requireUnreserved(app, userId)
    return userId
  } catch (error) {
    throw new NoAccountError(
      `Your name in the directory, ${localpart}, cannot be used here: ${(error as Error).message}`,
    )
  }
}

/**
 * Directories ignore differences between names, such as blanks. Other names than those that accounts can have would
 * only multiply the guesses at one account.
 */
function isName(name: string): boolean {
  return isStrictLocalpart(name.toLowerCase()) || parseEmailAddress(name) !== undefined
}

function explainOutage(error: unknown): never {
  if (!(error instanceof DirectoryUnavailable)) throw error
  throw new MatrixError(
    503,
    'M_UNKNOWN',
    'The directory that checks passwords cannot be reached at the moment. Try again later.',
  )
}

async function accountOf(app: Capabilities, userId: UserId, found: DirectoryUser): Promise<UserRow | undefined> {
  const existing = (await findUser(app.database, userId)) ?? (await register(app, userId, found))
  if (!existing || existing.in_directory) return existing
  if (!mayBeLinked(app, existing)) {
    throw new NoAccountError(
      `The account ${userId} has a password of its own. Sign in with that, or ask the administrator to link the account.`,
    )
  }
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await moveToDirectory(tx, userId)
  })
  app.logger.info({ user_id: userId }, 'account moved to the LDAP directory')
  return findUser(app.database, userId)
}

/** Accounts of the server itself and of application services are nobody's in the directory. */
function mayBeLinked({ config }: Pick<App, 'config'>, { user_id, is_guest, deactivated_ts }: UserRow): boolean {
  if (config.ldap.on_conflict !== 'link' || is_guest || deactivated_ts !== null) return false
  const isNotices = localpartOf(user_id) === config.server_notices.localpart
  return !isNotices && !isReserved(config.appservices, 'users', user_id)
}

async function register(app: Capabilities, userId: UserId, found: DirectoryUser): Promise<UserRow | undefined> {
  if (!found.mayRegister) throw new NoAccountError('You have no account on this server. Ask its administrator for one.')
  const account = {
    localpart: localpartOf(userId),
    displayName: found.displayName && fittingDisplayname(found.displayName),
    email: await freeAddress(app, found),
    inDirectory: true,
  }
  await createUser(app, account).catch((error) => {
    // Of two first sign-ins at the same time, one creates the account.
    if (!(error instanceof MatrixError && error.errcode === 'M_USER_IN_USE')) throw error
  })
  return findUser(app.database, userId)
}

/** Returns the user's address, unless it belongs to another account. */
async function freeAddress(app: Capabilities, { localpart, email }: DirectoryUser): Promise<string | undefined> {
  const address = email === undefined ? undefined : parseEmailAddress(email)
  if (address === undefined) return undefined
  const owner = await findThreepidUser(app.database, { medium: 'email', address })
  if (!owner) return address
  app.logger.warn(
    { localpart, owner: owner.user_id },
    'e-mail address of LDAP user belongs to another account, skipped',
  )
  return undefined
}
