import type { App } from '../../app.ts'
import { type Appservice, hasUser, isReserved } from '../../core/appservice.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'

/** Throws M_EXCLUSIVE for a name that application services have for themselves. */
export function requireUnreserved({ config }: Pick<App, 'config'>, userId: UserId): void {
  if (isReserved(config.appservices, 'users', userId)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', 'This user name is reserved for an application service')
  }
}

/** Throws M_EXCLUSIVE for a user who is not an application service's, or another one's too, and exclusively. */
export function requireOwnUser({ config }: Pick<App, 'config'>, appservice: Appservice, userId: UserId): void {
  if (!hasUser(appservice, userId) || isReserved(config.appservices, 'users', userId, appservice)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', "This user is not in the application service's namespace")
  }
}
