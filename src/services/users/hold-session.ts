import { MatrixError } from '../../core/errors.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { holdAccessToken } from '../../storage/users/access-tokens.ts'
import { lockUser } from '../../storage/users/users.ts'
import { holdBrowser, type SignedInBy } from './hold-browser.ts'
import type { Session } from './session.ts'

/** The session of a client that sends a request. */
export type ClientSession = Pick<Session, 'userId' | 'tokenHash' | 'appservice'>

/** As `holdBrowser`, for the session of a browser or a client. Throws M_SIGN_IN_ENDED or M_UNKNOWN_TOKEN. */
export function holdSession(tx: Tx, session: SignedInBy | ClientSession): Promise<void> {
  return 'sessionId' in session ? holdBrowser(tx, session) : holdClient(tx, session)
}

/** Sessions of application services do not end. A client whose token was replaced in the meantime can refresh it. */
async function holdClient(tx: Tx, { userId, tokenHash, appservice }: ClientSession): Promise<void> {
  await lockUser(tx, userId)
  if (appservice || (await holdAccessToken(tx, tokenHash))) return
  throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'This session has ended', { soft_logout: true })
}
