import type { App } from '../../../app.ts'
import type { Appservice } from '../../../core/appservice.ts'
import { ForbiddenError, InvalidParamError, MatrixError, MissingParamError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { findUser, insertUser, lockUser } from '../../../storage/users/users.ts'
import { createUser } from '../create-user.ts'
import { type LoginDevice, logInDevice } from '../device-login.ts'
import type { LoginResult } from '../log-in.ts'
import type { NoticeCapabilities } from '../mail/account-notices.ts'
import { requireOwnUser } from '../reserved-names.ts'
import { localUserId, userIdForNewName } from '../user-names.ts'
import type { RegistrationResult } from './register.ts'

/** The login and registration type of application services. */
export const APPSERVICE_LOGIN = 'm.login.application_service'

type Capabilities = Pick<App, 'database' | 'passwordHasher' | 'logger'> & NoticeCapabilities

/** Creates the sender users of application services that do not exist yet. They have no profile until they set one. */
export async function prepareAppserviceSenders(app: Pick<App, 'database' | 'clock' | 'config'>): Promise<void> {
  const senders = app.config.appservices.map(({ sender }) => sender)
  if (senders.length === 0) return
  const created_ts = app.clock.now()
  await app.database.write(async (tx) => {
    for (const user_id of senders)
      await insertUser(tx, { user_id, password_hash: null, is_admin: false, is_guest: false, created_ts })
  })
}

/**
 * Registers a user of an application service, without a password, even if registration is closed. `device` undefined:
 * without logging in. Throws M_EXCLUSIVE, M_INVALID_USERNAME, M_USER_IN_USE.
 * https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions
 */
export async function registerAppserviceUser(
  app: Capabilities,
  appservice: Appservice | 'unknown' | undefined,
  { username, device }: { username: string | undefined; device: LoginDevice | undefined },
): Promise<RegistrationResult> {
  const own = requireToken(appservice)
  if (username === undefined) throw new MissingParamError('username: it is needed')
  requireOwnUser(app, own, userIdForNewName(app, username))
  let tokens: Awaited<ReturnType<typeof logInDevice>> | undefined
  const user_id = await createUser(app, { localpart: username }, async (tx, userId) => {
    if (device) tokens = await logInDevice(app, tx, { userId, device })
  })
  return { user_id, home_server: app.serverName, ...tokens }
}

/**
 * Logs in a user of an application service. Throws M_EXCLUSIVE, M_FORBIDDEN for an unknown user, M_USER_DEACTIVATED.
 */
export async function logInAppserviceUser(
  app: Capabilities,
  appservice: Appservice | 'unknown' | undefined,
  { user, device }: { user: string; device: LoginDevice },
): Promise<LoginResult> {
  const own = requireToken(appservice)
  const userId = localUserId(app, user)
  if (userId === undefined) throw new InvalidParamError('identifier.user: is not a user of this server')
  requireOwnUser(app, own, userId)
  const tokens = await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const found = await findUser(tx, userId)
    if (!found) throw new ForbiddenError('The application service has not registered this user')
    if (found.deactivated_ts !== null) throw deactivated()
    return logInDevice(app, tx, { userId, device })
  })
  return { user_id: userId as UserId, home_server: app.serverName, ...tokens }
}

function requireToken(appservice: Appservice | 'unknown' | undefined): Appservice {
  if (appservice === undefined)
    throw new MatrixError(401, 'M_MISSING_TOKEN', 'The token of an application service is needed')
  if (appservice !== 'unknown') return appservice
  throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This is not the token of an application service', {
    soft_logout: false,
  })
}

function deactivated(): MatrixError {
  return new MatrixError(403, 'M_USER_DEACTIVATED', 'This account has been deactivated')
}
