import { ForbiddenError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Session } from '../../http/route.ts'

/** Checks that a path which names a user is used by that user. Throws M_FORBIDDEN. */
export function requireOwn(session: Session, userId: UserId): void {
  if (session.userId !== userId) throw new ForbiddenError('The resource belongs to another user')
}
