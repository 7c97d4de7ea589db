import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError, MissingParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { isRegistrationTokenUsable } from '../../storage/registration-tokens.ts'
import { takeThreepidSession } from '../../storage/threepids.ts'
import { findUser } from '../../storage/users.ts'
import { localUserId } from './user-names.ts'

/** What a client sends as `auth`. */
export type AuthData = { [key: string]: unknown; type?: string | undefined; session?: string | undefined }

type StageCapabilities = Pick<App, 'database' | 'clock' | 'serverName' | 'passwordHasher'>

/** One way to prove something. Gives what it found out; throws when the proof fails. `userId`: who has to prove to be themselves. */
type Stage = (app: StageCapabilities, attempt: { auth: AuthData; userId: UserId | undefined }) => Promise<string>

/** https://spec.matrix.org/v1.19/client-server-api/#authentication-types */
export const UIA_STAGES = {
  'm.login.dummy': async () => 'true',
  'm.login.password': provePassword,
  'm.login.registration_token': proveRegistrationToken,
  'm.login.terms': async () => 'true',
  'm.login.email.identity': proveEmailAddress,
} satisfies Record<string, Stage>

export type UiaStageType = keyof typeof UIA_STAGES

/** Someone proves to be another user than the one whom the operation is about: no further attempt is of use. */
export class WrongUserError extends ForbiddenError {
  constructor() {
    super('The authentication is of another user')
  }
}

/** https://spec.matrix.org/v1.19/client-server-api/#password-based */
async function provePassword(
  app: StageCapabilities,
  { auth, userId }: { auth: AuthData; userId: UserId | undefined },
): Promise<string> {
  const { password } = auth
  const name = (auth.identifier as { user?: unknown } | undefined)?.user ?? auth.user
  if (typeof password !== 'string') throw new MissingParamError('auth.password: a password is needed')
  const claimed = typeof name === 'string' ? localUserId(app, name) : userId
  if (userId && claimed !== userId) throw new WrongUserError()
  const user = userId && (await findUser(app.database, userId))
  const matches = await app.passwordHasher.verify(user?.password_hash, password)
  if (!userId || !matches) throw new ForbiddenError('Invalid password')
  return userId
}

/** https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration */
async function proveRegistrationToken(app: StageCapabilities, { auth }: { auth: AuthData }): Promise<string> {
  const { token } = auth
  if (typeof token !== 'string') throw new MissingParamError('auth.token: a registration token is needed')
  if (await isRegistrationTokenUsable(app.database, token, app.clock.now())) return token
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'The registration token is not valid')
}

/** Gives the address. https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver */
async function proveEmailAddress(app: StageCapabilities, { auth }: { auth: AuthData }): Promise<string> {
  // Old clients write it as one word.
  const { sid, client_secret } = (auth.threepid_creds ?? auth.threepidCreds ?? {}) as Record<string, unknown>
  if (typeof sid !== 'string' || typeof client_secret !== 'string')
    throw new MissingParamError('auth.threepid_creds: sid and client_secret are needed')
  const now = app.clock.now()
  const proof = { sessionId: sid, clientSecret: client_secret, now }
  const proven = await app.database.write((tx) => takeThreepidSession(tx, proof))
  if (proven) return proven.address
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'The address has not been confirmed')
}
