import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../../core/errors.ts'
import { insertRegistrationNonce, takeRegistrationNonce } from '../../../storage/users/registration-nonces.ts'
import { updateUserType } from '../../../storage/users/users.ts'
import { createUser } from '../create-user.ts'
import { logInDevice } from '../device-login.ts'
import type { LoginResult } from '../log-in.ts'
import type { NoticeCapabilities } from '../mail/account-notices.ts'

export type SharedSecretRegistration = {
  nonce: string
  username: string
  password: string
  displayname?: string | null | undefined
  admin?: boolean | null | undefined
  user_type?: string | null | undefined
  /** Whether the session gets a refresh token. */
  refresh_token?: boolean | undefined
  /** Hexadecimal HMAC-SHA1 of the registration. */
  mac: string
}

type Capabilities = Pick<App, 'database' | 'passwordHasher' | 'logger'> & NoticeCapabilities

const NONCE_LIFETIME_MS = 60_000
const NONCE_LENGTH = 64

/**
 * Issues a nonce for one registration within a minute, at any process of this server. Throws M_UNKNOWN without a shared
 * secret.
 */
export async function newRegistrationNonce(app: Capabilities): Promise<string> {
  sharedSecret(app)
  const now = app.clock.now()
  const nonce = app.random.token(NONCE_LENGTH)
  await app.database.write((tx) => insertRegistrationNonce(tx, { nonce, expiresTs: now + NONCE_LIFETIME_MS, now }))
  return nonce
}

/**
 * Registers an account for a caller who knows the shared secret, as Synapse's tools do, and logs in. Throws M_FORBIDDEN
 * for a wrong MAC, M_INVALID_PARAM for an unknown nonce and for NUL, and as createUser.
 */
export async function registerBySharedSecret(
  app: Capabilities,
  request: SharedSecretRegistration,
): Promise<LoginResult> {
  const { nonce, mac } = request
  const signed = signedParts(request)
  await requireSharedSecret(app, { nonce, mac, signed, algorithm: 'sha1' })
  const { username: localpart, password, user_type: userType } = request
  const account = { localpart, password, displayName: request.displayname ?? undefined, admin: request.admin ?? false }
  let tokens: Awaited<ReturnType<typeof logInDevice>> | undefined
  const userId = await createUser(app, account, async (tx, id) => {
    if (userType) await updateUserType(tx, id, userType)
    tokens = await logInDevice(app, tx, { userId: id, device: { wantsRefreshToken: request.refresh_token ?? false } })
  })
  return { user_id: userId, home_server: app.serverName, ...tokens! }
}

/**
 * Requires that a caller knows the shared secret, by a nonce of `newRegistrationNonce` that is among the signed parts and
 * is used up. Throws M_INVALID_PARAM for an unknown nonce, and as requireMac.
 */
async function requireSharedSecret(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  proof: SharedSecretProof & { nonce: string },
): Promise<void> {
  const isKnown = await app.database.write((tx) => takeRegistrationNonce(tx, proof.nonce, app.clock.now()))
  if (!isKnown) throw new InvalidParamError('The nonce is unknown, used or expired. Request a new one.')
  requireMac(app, proof)
}

/** `mac` is the hexadecimal HMAC of the signed parts, separated by NUL. */
type SharedSecretProof = { mac: string; signed: readonly string[]; algorithm: 'sha1' | 'sha256' }

/** Requires a MAC by the shared secret. Throws M_FORBIDDEN for a wrong one, and M_INVALID_PARAM for NUL. */
export function requireMac(app: Pick<App, 'config'>, { mac, signed, algorithm }: SharedSecretProof): void {
  // NUL separates the parts of the MAC: inside a part it would make one MAC valid for another request.
  if (signed.some((part) => part.includes('\0')))
    throw new InvalidParamError('The values that the mac covers cannot contain the character NUL')
  const expected = createHmac(algorithm, sharedSecret(app)).update(signed.join('\0')).digest()
  const given = Buffer.from(mac, 'hex')
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new ForbiddenError('The mac is wrong')
}

function sharedSecret(app: Pick<App, 'config'>): string {
  const secret = app.config.registration.shared_secret
  if (secret === undefined) throw new ForbiddenError('Registration by shared secret is not enabled')
  return secret
}

function signedParts({ nonce, username, password, admin, user_type }: SharedSecretRegistration): string[] {
  return [nonce, username, password, admin ? 'admin' : 'notadmin', ...(user_type ? [user_type] : [])]
}
