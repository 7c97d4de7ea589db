import type { App } from '../../app.ts'
import { ForbiddenError, MissingParamError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findTokenHolder } from '../../storage/access-tokens.ts'
import type { Tx } from '../../storage/database.ts'
import { createUser } from './create-user.ts'
import { type ClientDevice, logInDevice } from './device-login.ts'
import type { LoginResult } from './log-in.ts'
import { checkNewPassword } from './new-password.ts'
import { type CompletedStages, noteAcceptedTerms, registrationFlows } from './registration-flows.ts'
import { requireUnreserved } from './reserved-names.ts'
import { hashToken } from './tokens.ts'
import type { AuthData } from './uia-stages.ts'
import { requireUserInteractiveAuth } from './user-interactive-auth.ts'
import { requireAvailable, userIdForNewName } from './user-names.ts'

/** The body of `POST /register`. */
export type RegistrationRequest = {
  username?: string | undefined
  password?: string | undefined
  device_id?: DeviceId | undefined
  initial_device_display_name?: string | undefined
  inhibit_login?: boolean | undefined
  refresh_token?: boolean | undefined
  /** The access token of the guest who registers; `username` is then the guest's. https://spec.matrix.org/v1.19/client-server-api/#guest-access */
  guest_access_token?: string | undefined
}

type Capabilities = Pick<
  App,
  'database' | 'clock' | 'random' | 'config' | 'serverName' | 'passwordHasher' | 'logger' | 'rateLimiter'
>

/** What `/register` answers: with tokens unless the client asked for none. */
export type RegistrationResult = LoginResult | Pick<LoginResult, 'user_id' | 'home_server'>

const GENERATED_NAME_LENGTH = 12

/**
 * Registers an account for whoever may have one by the configuration.
 * Throws M_FORBIDDEN, M_INVALID_USERNAME, M_USER_IN_USE, M_EXCLUSIVE, M_WEAK_PASSWORD and the 401 of user-interactive authentication.
 */
export async function registerUser(
  app: Capabilities,
  { request, auth, operation }: { request: RegistrationRequest; auth: AuthData | undefined; operation: string },
): Promise<RegistrationResult> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  if (request.guest_access_token !== undefined) await requireGuest(app, request, request.guest_access_token)
  else if (request.username !== undefined) {
    const userId = userIdForNewName(app, request.username)
    requireUnreserved(app, userId)
    await requireAvailable(app, userId)
  }
  if (request.password !== undefined) checkNewPassword(app, request.password)
  const { password } = request
  if (auth && password === undefined) throw new MissingParamError('password: a password is needed')
  const { flows, params } = registrationFlows(app.config)
  const { completed } = await requireUserInteractiveAuth(app, {
    operation,
    userId: undefined,
    flows,
    params,
    auth,
    body: {},
  })
  return makeAccount(app, request, completed)
}

/** https://spec.matrix.org/v1.19/client-server-api/#guest-access */
export async function registerGuest(app: Capabilities, displayName: string | undefined): Promise<RegistrationResult> {
  const { enabled, guests } = app.config.registration
  if (!guests) throw new ForbiddenError(enabled ? 'This server has no guest accounts' : 'Registration is disabled')
  return logInNew(
    app,
    { localpart: generatedName(app), guest: true },
    { device: { displayName, wantsRefreshToken: false } },
  )
}

async function requireGuest(
  app: Capabilities,
  { username }: RegistrationRequest,
  guestAccessToken: string,
): Promise<void> {
  const guest = await findTokenHolder(app.database, hashToken(guestAccessToken))
  const isWhoRegisters = guest?.is_guest && username !== undefined && guest.user_id === userIdForNewName(app, username)
  if (!isWhoRegisters) throw new ForbiddenError('guest_access_token: is not the token of the guest of this name')
}

async function makeAccount(
  app: Capabilities,
  request: RegistrationRequest,
  completed: CompletedStages,
): Promise<RegistrationResult> {
  const localpart = request.username ?? generatedName(app)
  const registrationToken = completed['m.login.registration_token']
  const account = {
    localpart,
    password: request.password,
    registrationToken,
    replacesGuest: request.guest_access_token !== undefined,
    email: completed['m.login.email.identity'],
  }
  const noteTerms = (tx: Tx, userId: UserId) => noteAcceptedTerms(app, tx, { userId, completed })
  if (request.inhibit_login) return { user_id: await createUser(app, account, noteTerms), home_server: app.serverName }
  const device = {
    deviceId: request.device_id,
    displayName: request.initial_device_display_name,
    wantsRefreshToken: request.refresh_token ?? false,
  }
  return logInNew(app, account, { device, andThen: noteTerms })
}

async function logInNew(
  app: Capabilities,
  account: Parameters<typeof createUser>[1],
  { device, andThen }: { device: ClientDevice; andThen?: (tx: Tx, userId: UserId) => Promise<void> },
): Promise<LoginResult> {
  let tokens: Awaited<ReturnType<typeof logInDevice>> | undefined
  const userId = await createUser(app, account, async (tx, id) => {
    tokens = await logInDevice(app, tx, { userId: id, device })
    await andThen?.(tx, id)
  })
  return { user_id: userId, home_server: app.serverName, ...tokens! }
}

function generatedName(app: Pick<App, 'random'>): string {
  return app.random.token(GENERATED_NAME_LENGTH).toLowerCase()
}
