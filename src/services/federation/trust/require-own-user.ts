import { ForbiddenError } from '../../../core/errors.ts'
import { type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'

/** Throws M_FORBIDDEN unless the user belongs to the origin server. */
export function requireUserOfOrigin(origin: ServerName, userId: UserId): void {
  if (serverNameOf(userId) !== origin) throw new ForbiddenError(`${origin} may not speak for ${userId}`)
}
