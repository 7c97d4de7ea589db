import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError } from '../../core/errors.ts'
import { MAX_PASSWORD_LENGTH } from '../../infra/users/password-hasher.ts'

/** Validates a new password. `minimum`: its shortest length. Throws M_WEAK_PASSWORD or M_INVALID_PARAM. */
export function checkNewPassword(
  app: Pick<App, 'config'>,
  password: string,
  minimum = app.config.passwords.minimum_length,
): void {
  if ([...password].length < minimum) {
    throw new MatrixError(400, 'M_WEAK_PASSWORD', `A password needs at least ${minimum} characters`)
  }
  // Programs that use C strings would truncate the password there.
  if (password.includes('\0')) throw new InvalidParamError('A password cannot contain the character NUL')
  if (password.length > MAX_PASSWORD_LENGTH)
    throw new InvalidParamError(`A password has at most ${MAX_PASSWORD_LENGTH} characters`)
}
