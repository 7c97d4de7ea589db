import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { localpartOf, type UserId } from '../../core/ids.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findUser } from '../../storage/users/users.ts'
import { createUser } from './create-user.ts'
import type { LoginDevice } from './device-login.ts'
import { findAccount } from './find-account.ts'
import { type LogInCapabilities, type LoginResult, openSession } from './log-in.ts'
import { fittingDisplayname } from './profile.ts'
import { requireUnreserved } from './reserved-names.ts'
import { userIdForNewName } from './user-names.ts'

/** The login type of JSON Web Tokens, as in Synapse. */
export const JWT_LOGIN = 'org.matrix.login.jwt'

type Capabilities = LogInCapabilities & Pick<App, 'jwtVerifier'>

/**
 * Logs in the user whom a signed token names, and creates the account at the first time. Throws M_UNKNOWN if that is
 * not configured, M_FORBIDDEN for an invalid token, M_USER_LOCKED, M_INVALID_USERNAME and M_EXCLUSIVE.
 */
export async function logInWithJwt(
  app: Capabilities,
  { token, device }: { token: string; device: LoginDevice },
): Promise<LoginResult> {
  if (!app.jwtVerifier) throw new MatrixError(400, 'M_UNKNOWN', 'This login type is not supported')
  const verified = await app.jwtVerifier.verify(token)
  if ('refusal' in verified) throw new ForbiddenError(`The JWT is invalid: ${verified.refusal}`)
  const { claims } = verified
  const { subject_claim: subjectClaim, display_name_claim: nameClaim } = app.config.jwt
  const name = claims[subjectClaim]
  if (typeof name !== 'string') throw new ForbiddenError(`The JWT has no claim ${subjectClaim} with a user name`)
  const displayName = nameClaim === undefined ? undefined : claims[nameClaim]
  const known = (await findAccount(app, { user: name })).user
  const user = known ?? (await register(app, name, typeof displayName === 'string' ? displayName : undefined))
  if (user.deactivated_ts !== null) throw new ForbiddenError('This account has been deactivated')
  return openSession(app, user, device)
}

async function register(app: Capabilities, name: string, displayName: string | undefined): Promise<UserRow> {
  if (!app.config.jwt.new_accounts) throw new ForbiddenError('You have no account on this server')
  const userId: UserId = userIdForNewName(app, name)
  requireUnreserved(app, userId)
  const shown = displayName && fittingDisplayname(displayName)
  await createUser(app, { localpart: localpartOf(userId), displayName: shown }).catch((error) => {
    // Of two first sign-ins at the same time, one creates the account.
    if (!(error instanceof MatrixError && error.errcode === 'M_USER_IN_USE')) throw error
  })
  return (await findUser(app.database, userId))!
}
