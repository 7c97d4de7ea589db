import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { holdWebSession } from '../../storage/sign-in/web-sessions.ts'
import { lockUser } from '../../storage/users/users.ts'

/** A browser in which a user is signed in; `sessionId`: the hash of its cookie. */
export type SignedInBy = { userId: UserId; sessionId: string }

/**
 * Locks the user of a browser for what gives a session. Throws M_SIGN_IN_ENDED if the browser was signed out since the
 * request came: what ends all sessions must not miss the one that begins now.
 */
export async function holdBrowser(tx: Tx, { userId, sessionId }: SignedInBy): Promise<void> {
  await lockUser(tx, userId)
  if (await holdWebSession(tx, sessionId, userId)) return
  throw new MatrixError(403, 'M_SIGN_IN_ENDED', 'This sign-in has ended. Start again in your application.')
}
