import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../../core/errors.ts'
import { insertRegistrationToken, isRegistrationTokenUsable } from '../../../storage/users/registration-tokens.ts'

/** Returns whether a registration token is valid now. Throws M_FORBIDDEN if registration is closed. */
export async function isValidRegistrationToken(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  token: string,
): Promise<boolean> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  return isRegistrationTokenUsable(app.database, token, app.clock.now())
}

type NewRegistrationToken = { token: string | undefined; usesAllowed: number | null; lifetimeMs: number | null }

const GENERATED_LENGTH = 16

/**
 * Creates a registration token, generated unless it is given, and returns it. `usesAllowed` null: any number;
 * `lifetimeMs` null: without an end. Throws M_INVALID_PARAM for one that exists, or that clients could not send.
 * https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
 */
export async function createRegistrationToken(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { token = app.random.token(GENERATED_LENGTH), usesAllowed, lifetimeMs }: NewRegistrationToken,
): Promise<string> {
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(token))
    throw new InvalidParamError('A registration token has at most 64 letters, digits and characters of . _ ~ -')
  const expires_ts = lifetimeMs === null ? null : app.clock.now() + lifetimeMs
  const isNew = await app.database.write((tx) =>
    insertRegistrationToken(tx, { token, uses_allowed: usesAllowed, expires_ts }),
  )
  if (!isNew) throw new InvalidParamError(`The registration token ${token} exists already`)
  return token
}
