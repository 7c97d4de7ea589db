import { ForbiddenError } from '../../../core/errors.ts'
import { type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'

/** Throws M_FORBIDDEN unless a server speaks of its own user. */
export function requireUserOfOrigin(origin: ServerName, userId: UserId): void {
  if (serverNameOf(userId) !== origin) throw new ForbiddenError(`${origin} may not speak for ${userId}`)
}
