import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import type { RegistrationTokenRow } from '../../../storage/schema/users.ts'
import {
  insertRegistrationToken,
  isRegistrationTokenUsable,
  type RegistrationTokenChange,
  updateRegistrationToken,
} from '../../../storage/users/registration-tokens.ts'

/** Returns whether a registration token is valid now. Throws M_FORBIDDEN if registration is closed. */
export async function isValidRegistrationToken(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  token: string,
): Promise<boolean> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  return isRegistrationTokenUsable(app.database, token, app.clock.now())
}

/** Whether a token that was read is usable at a time. */
export function isUsableToken(token: RegistrationTokenRow, now: number): boolean {
  const { uses_allowed, uses_completed, expires_ts, revoked_ts } = token
  const isUsedUp = uses_allowed !== null && uses_completed >= uses_allowed
  return revoked_ts === null && !isUsedUp && (expires_ts === null || expires_ts > now)
}

type NewRegistrationToken = { token: string | undefined; usesAllowed: number | null; expiresTs: number | null }

const GENERATED_LENGTH = 16

/**
 * Creates a registration token, generated unless it is given, and returns it. `usesAllowed` null: any number;
 * `expiresTs` null: without an end. Throws M_INVALID_PARAM for one that exists or that clients could not send, and for
 * a time that has passed.
 * https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
 */
export async function createRegistrationToken(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { token = app.random.token(GENERATED_LENGTH), usesAllowed, expiresTs }: NewRegistrationToken,
): Promise<RegistrationTokenRow> {
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(token))
    throw new InvalidParamError('A registration token has at most 64 letters, digits and characters of . _ ~ -')
  const now = app.clock.now()
  requireFuture(expiresTs, now)
  const row = { token, uses_allowed: usesAllowed, created_ts: now, expires_ts: expiresTs }
  const created = await app.database.write((tx) => insertRegistrationToken(tx, row))
  if (!created) throw new InvalidParamError(`The registration token ${token} exists already`)
  return created
}

/** Changes limits of a registration token, and returns it. Throws M_NOT_FOUND, and M_INVALID_PARAM for a past time. */
export async function changeRegistrationToken(
  app: Pick<App, 'database' | 'clock'>,
  token: string,
  change: RegistrationTokenChange,
): Promise<RegistrationTokenRow> {
  requireFuture(change.expires_ts, app.clock.now())
  const changed = await app.database.write((tx) => updateRegistrationToken(tx, token, change))
  if (!changed) throw unknownToken()
  return changed
}

/** Returns the error for a token that does not exist. */
export function unknownToken(): NotFoundError {
  return new NotFoundError('There is no such registration token')
}

function requireFuture(time: number | null | undefined, now: number): void {
  if (time !== null && time !== undefined && time < now) throw new InvalidParamError('The time of expiry has passed')
}
