import type { App } from '../../../app.ts'
import { ForbiddenError, MissingParamError } from '../../../core/errors.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import type { EmailAddress } from '../../../core/text/email-address.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { findTokenHolder } from '../../../storage/users/access-tokens.ts'
import { findUser, lockUser } from '../../../storage/users/users.ts'
import { isUsableAccount } from '../account-validity.ts'
import { checkRegistration } from '../check-for-spam.ts'
import { createUser } from '../create-user.ts'
import { type LoginDevice, logInDevice } from '../device-login.ts'
import type { LoginResult } from '../log-in.ts'
import type { NoticeCapabilities } from '../mail/account-notices.ts'
import type { MailLanguage } from '../mail/compose-mail.ts'
import { checkNewPassword } from '../new-password.ts'
import { requireChoosable } from '../reserved-names.ts'
import { hashToken } from '../tokens.ts'
import type { AuthData, StageCapabilities } from '../uia-stages.ts'
import { authenticateAndPerform, type FinishedRequest } from '../user-interactive-auth.ts'
import { requireAvailable, userIdForNewName } from '../user-names.ts'
import { type CompletedStages, noteAcceptedTerms, registrationFlows } from './registration-flows.ts'

/** The body of `POST /register`. */
export type RegistrationRequest = {
  username?: string | undefined
  password?: string | undefined
  device_id?: DeviceId | undefined
  initial_device_display_name?: string | undefined
  inhibit_login?: boolean | undefined
  refresh_token?: boolean | undefined
  /**
   * The access token of the guest who registers; `username` is then the guest's.
   * https://spec.matrix.org/v1.19/client-server-api/#guest-access
   */
  guest_access_token?: string | undefined
  /** Present in registrations on the web page. */
  page?: PageRegistration | undefined
}

/** The state of a registration on the page while a link is mailed. */
export type PageRegistration = {
  /** The hash of the browser's cookie: only that browser goes on. */
  browser: string
  /** The language of the page. */
  language: MailLanguage
  /** The address and the phone number (with +) that have to be verified, and the client secret of that. */
  email?: EmailAddress
  phone?: string
  client_secret?: string
}

type Capabilities = StageCapabilities & NoticeCapabilities & Pick<App, 'spamChecks'>

/** The response of `/register`: with tokens unless the client inhibits the login. */
export type RegistrationResult = LoginResult | Pick<LoginResult, 'user_id' | 'home_server'>

const GENERATED_NAME_LENGTH = 12

/**
 * Registers an account as the configuration allows. A client that lost the response can retry. Throws M_FORBIDDEN,
 * M_INVALID_USERNAME, M_USER_IN_USE, M_EXCLUSIVE, M_WEAK_PASSWORD and the 401 of user-interactive authentication.
 */
export async function registerUser(
  app: Capabilities,
  { request, auth, operation }: { request: RegistrationRequest; auth: AuthData | undefined; operation: string },
): Promise<RegistrationResult> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  const { password: secret, guest_access_token: guestToken, ...body } = request
  const uia = { operation, userId: undefined, ...registrationFlows(app.config), auth, body, secret }
  return authenticateAndPerform<RegistrationResult>(app, uia, {
    async check({ body: wanted, hasSecret }) {
      await checkName(app, wanted as RegistrationRequest, guestToken)
      if (secret !== undefined) checkNewPassword(app, secret)
      if (auth && !hasSecret) throw new MissingParamError('password: a password is needed')
    },
    async perform({ body: wanted, secretHash, completed }) {
      const account = { ...(wanted as RegistrationRequest), guest_access_token: guestToken }
      await checkRegistration(app, { localpart: account.username, email: completed['m.login.email.identity'] })
      const answer = await makeAccount(app, account, { passwordHash: secretHash, completed })
      return {
        answer,
        note: { user_id: answer.user_id, ...('device_id' in answer && { device_id: answer.device_id }) },
      }
    },
    repeat: (session) => answerAgain(app, session),
  })
}

async function checkName(
  app: Capabilities,
  request: RegistrationRequest,
  guestToken: string | undefined,
): Promise<void> {
  if (guestToken !== undefined) return requireGuest(app, request, guestToken)
  if (request.username === undefined) return
  const userId = userIdForNewName(app, request.username)
  requireChoosable(app, userId)
  await requireAvailable(app, userId)
}

/**
 * Returns the response of a retried registration. Session IDs appear in URLs of fallback pages, so only a client that
 * knows the password gets new tokens. The tokens of the lost response are revoked.
 */
async function answerAgain(
  app: Capabilities,
  { note, secretHash, body, knowsSecret }: FinishedRequest,
): Promise<RegistrationResult> {
  const { user_id: userId, device_id: deviceId } = note as { user_id: UserId; device_id?: DeviceId }
  if (deviceId === undefined) return { user_id: userId, home_server: app.serverName }
  if (!knowsSecret) throw new MissingParamError('password: it is needed to register again')
  const device = { ...requestedDevice(body), deviceId }
  const tokens = await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findUser(tx, userId)
    const isUnchanged = user && isUsableAccount(app, user) && user.password_hash === secretHash
    if (!isUnchanged) throw new ForbiddenError('The account has changed since it was registered')
    return logInDevice(app, tx, { userId, device })
  })
  return { user_id: userId, home_server: app.serverName, ...tokens }
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
  { passwordHash, completed }: { passwordHash: string | undefined; completed: CompletedStages },
): Promise<RegistrationResult> {
  const account = {
    localpart: request.username ?? generatedName(app),
    passwordHash,
    registrationToken: completed['m.login.registration_token'],
    replacesGuest: request.guest_access_token !== undefined,
    email: completed['m.login.email.identity'],
    phone: completed['m.login.msisdn'],
    language: request.page?.language,
  }
  const noteTerms = (tx: Tx, userId: UserId) => noteAcceptedTerms(app, tx, { userId, completed })
  if (request.inhibit_login) return { user_id: await createUser(app, account, noteTerms), home_server: app.serverName }
  return logInNew(app, account, { device: requestedDevice(request), andThen: noteTerms })
}

/** Returns the device parameters of a registration. */
export function requestedDevice(request: RegistrationRequest): LoginDevice {
  return {
    deviceId: request.device_id,
    displayName: request.initial_device_display_name,
    wantsRefreshToken: request.refresh_token ?? false,
  }
}

async function logInNew(
  app: Capabilities,
  account: Parameters<typeof createUser>[1],
  { device, andThen }: { device: LoginDevice; andThen?: (tx: Tx, userId: UserId) => Promise<void> },
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
