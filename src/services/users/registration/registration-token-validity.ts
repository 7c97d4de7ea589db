import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { isRegistrationTokenUsable } from '../../../storage/users/registration-tokens.ts'

/** Returns whether a registration token is valid now. Throws M_FORBIDDEN if registration is closed. */
export async function isValidRegistrationToken(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  token: string,
): Promise<boolean> {
  if (!app.config.registration.enabled) throw new ForbiddenError('Registration is disabled')
  return isRegistrationTokenUsable(app.database, token, app.clock.now())
}
