import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { isRegistrationTokenUsable } from '../../storage/users/registration-tokens.ts'

/** Whether somebody could register with a token now. Throws M_FORBIDDEN where nobody can register. */
export async function isValidRegistrationToken(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  token: string,
): Promise<boolean> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  return isRegistrationTokenUsable(app.database, token, app.clock.now())
}
