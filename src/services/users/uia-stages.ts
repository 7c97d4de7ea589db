import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError, MissingParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { isCrossSigningResetAllowed } from '../../storage/devices/cross-signing-resets.ts'
import { isRegistrationTokenUsable } from '../../storage/users/registration-tokens.ts'
import { findThreepidOwner } from '../../storage/users/threepids.ts'
import { checkCaptcha } from './captcha.ts'
import { checkPassword, type PasswordCapabilities } from './check-password.ts'
import { takeEmailProof } from './email-proof.ts'
import { type AccountIdentifier, findAccount } from './find-account.ts'
import type { ProofPurpose } from './mail/email-proof-texts.ts'

/** The client's `auth`. */
export type AuthData = { [key: string]: unknown; type?: string | undefined; session?: string | undefined }

/** The components that the stages use. */
export type StageCapabilities = PasswordCapabilities & Pick<App, 'configuredHttp' | 'stopping'>

/**
 * An attempt to complete a stage. `operation`: the operation that needs authentication. `userId`: the user who has to
 * authenticate; undefined at registration.
 */
export type StageAttempt = { auth: AuthData; operation: string; userId: UserId | undefined }

/** An authentication stage. Returns its result; throws if the proof fails. */
type Stage = (app: StageCapabilities, attempt: StageAttempt) => Promise<string>

/** https://spec.matrix.org/v1.19/client-server-api/#authentication-types */
export const UIA_STAGES = {
  'm.login.dummy': async () => 'true',
  'm.login.password': provePassword,
  'm.login.registration_token': proveRegistrationToken,
  'm.login.terms': async () => 'true',
  'm.login.email.identity': (app, attempt) => proveAddress(app, attempt, 'email'),
  'm.login.msisdn': (app, attempt) => proveAddress(app, attempt, 'msisdn'),
  'm.login.recaptcha': proveHuman,
  // Clients that know only reCAPTCHA show the web page of this stage, for all other captchas.
  'hearth.captcha': proveHuman,
  'm.login.sso': proveBySignIn,
  'm.oauth': proveOnAccountPage,
  // The name of `m.oauth` in MSC4312, which clients still use.
  'org.matrix.cross_signing_reset': proveOnAccountPage,
} satisfies Record<string, Stage>

export type UiaStageType = keyof typeof UIA_STAGES

/**
 * Stages that the user completes on the account page: every request of the session attempts them, without `auth.type`
 * too.
 */
export const ACCOUNT_PAGE_STAGES: readonly UiaStageType[] = ['m.oauth', 'org.matrix.cross_signing_reset']

/** Stages that are completed on a page of this server: a client that asks too early has made no mistake. */
export const STAGES_ON_PAGES: readonly UiaStageType[] = ['m.login.sso', ...ACCOUNT_PAGE_STAGES]

/** Thrown when the client authenticates as a user other than that of the operation: retrying is useless. */
export class WrongUserError extends ForbiddenError {
  constructor() {
    super('The authentication session belongs to another user')
  }
}

/**
 * The page of the stage completes it, see `confirmBySignIn`.
 * https://spec.matrix.org/v1.19/client-server-api/#single-sign-on
 */
async function proveBySignIn(): Promise<string> {
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'Open the page of this stage in a browser, and confirm there')
}

/** https://spec.matrix.org/v1.19/client-server-api/#password-based */
async function provePassword(app: StageCapabilities, { auth, userId }: StageAttempt): Promise<string> {
  if (typeof auth.password !== 'string') throw new MissingParamError('auth.password: is missing')
  if (userId === undefined) throw new ForbiddenError('This request needs no password')
  const named = identifierOf(auth)
  const account = await findAccount(app, named ?? { user: userId })
  if (account.user?.user_id !== userId) throw new WrongUserError()
  if (await checkPassword(app, account, auth.password)) return userId
  throw new ForbiddenError('Invalid password')
}

/** Returns the client's identifier, if any; `user` is the deprecated form without an identifier. */
function identifierOf({ identifier, user }: AuthData): AccountIdentifier | undefined {
  const named = (identifier ?? {}) as Record<string, unknown>
  if (named.type === 'm.id.thirdparty') return { medium: String(named.medium), address: String(named.address) }
  const name = named.user ?? user
  return typeof name === 'string' ? { user: name } : undefined
}

/** https://spec.matrix.org/v1.19/client-server-api/#google-recaptcha */
async function proveHuman(app: StageCapabilities, { auth }: StageAttempt): Promise<string> {
  await checkCaptcha(app, auth.response)
  return 'true'
}

/** https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration */
async function proveRegistrationToken(app: StageCapabilities, { auth }: { auth: AuthData }): Promise<string> {
  const { token } = auth
  if (typeof token !== 'string') throw new MissingParamError('auth.token: a registration token is missing')
  if (await isRegistrationTokenUsable(app.database, token, app.clock.now())) return token
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'The registration token is not valid')
}

/** The purpose of a verified address, by the operation that it authenticates. */
const PROOF_PURPOSES: Record<string, ProofPurpose> = {
  'POST /register': 'register',
  'POST /account/password': 'password',
}

/**
 * Returns the purpose for which an address must be verified to authenticate an operation. Throws M_INVALID_PARAM for
 * operations that no address authenticates.
 */
export function proofPurposeOf(operation: string): ProofPurpose {
  const purpose = PROOF_PURPOSES[operation]
  if (purpose) return purpose
  throw new InvalidParamError('This request needs no address')
}

/**
 * Returns the address or phone number at registration, and its owner for a password reset.
 * https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver
 */
async function proveAddress(
  app: StageCapabilities,
  { auth, operation }: StageAttempt,
  medium: 'email' | 'msisdn',
): Promise<string> {
  const purpose = proofPurposeOf(operation)
  // Old clients send `threepidCreds`.
  const { sid, client_secret } = (auth.threepid_creds ?? auth.threepidCreds ?? {}) as Record<string, unknown>
  if (typeof sid !== 'string' || typeof client_secret !== 'string')
    throw new MissingParamError('auth.threepid_creds: sid or client_secret is missing')
  const proof = { credentials: { sid, client_secret }, purpose, now: app.clock.now() }
  const proven = await app.database.write((tx) => takeEmailProof(tx, proof))
  if (proven && proven.threepid.medium !== medium) throw notConfirmed(medium)
  if (proven && purpose === 'register') return proven.threepid.address
  // It may have a new owner since then.
  const owner = proven && (await findThreepidOwner(app.database, proven.threepid))
  if (owner !== undefined && owner === proven?.userId) return owner
  throw notConfirmed(medium)
}

function notConfirmed(medium: 'email' | 'msisdn'): MatrixError {
  const what = medium === 'email' ? 'address' : 'phone number'
  return new MatrixError(401, 'M_UNAUTHORIZED', `The ${what} has not been confirmed`)
}

/**
 * The account page permits a reset of cross-signing keys, the only operation with this stage.
 * https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication
 */
async function proveOnAccountPage(app: StageCapabilities, { userId }: StageAttempt): Promise<string> {
  const isAllowed = userId !== undefined && (await isCrossSigningResetAllowed(app.database, userId, app.clock.now()))
  if (isAllowed) return userId
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'You have not permitted this on your account page')
}
