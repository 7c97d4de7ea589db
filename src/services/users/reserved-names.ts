import type { App } from '../../app.ts'
import { type Appservice, hasUser, isReserved } from '../../core/appservice.ts'
import { MatrixError } from '../../core/errors.ts'
import { localpartOf, type UserId } from '../../core/ids.ts'
import { compileGlob } from '../../core/text/glob.ts'

/** Throws M_EXCLUSIVE for a name in an exclusive namespace of an application service. */
export function requireUnreserved({ config }: Pick<App, 'config'>, userId: UserId): void {
  if (isReserved(config.appservices, 'users', userId)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', 'This user name is reserved for an application service')
  }
}

/** Checks a name that a user chooses. Throws as requireUnreserved, and also for a name that the operator has blocked. */
export function requireChoosable(app: Pick<App, 'config'>, userId: UserId): void {
  const { config } = app
  requireUnreserved(app, userId)
  const localpart = localpartOf(userId)
  if (config.registration.blocked_names.some((pattern) => compileGlob(pattern)(localpart))) {
    throw new MatrixError(400, 'M_EXCLUSIVE', 'This user name is reserved. Choose another one')
  }
}

/** Throws M_EXCLUSIVE for a user outside the application service's namespaces, or in another's exclusive namespace. */
export function requireOwnUser({ config }: Pick<App, 'config'>, appservice: Appservice, userId: UserId): void {
  if (!hasUser(appservice, userId) || isReserved(config.appservices, 'users', userId, appservice)) {
    throw new MatrixError(400, 'M_EXCLUSIVE', "This user is not in the application service's namespace")
  }
}
