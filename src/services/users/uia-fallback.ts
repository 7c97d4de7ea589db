import { InvalidParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUiaSession, saveUiaSession, type UiaSession } from '../../storage/users/uia-sessions.ts'
import { type AuthData, type StageCapabilities, UIA_STAGES, type UiaStageType, WrongUserError } from './uia-stages.ts'

/** The operation of an authentication session, and the user who has to authenticate; undefined at registration. */
export type SessionPurpose = { operation: string; userId: UserId | undefined; isComplete: boolean }

/**
 * Returns the operation of a session, and whether a stage is complete. Throws M_INVALID_PARAM for an unknown session.
 */
export async function purposeOfSession(
  app: StageCapabilities,
  { sessionId, type }: { sessionId: string; type: UiaStageType },
): Promise<SessionPurpose> {
  const session = await requireSession(app, sessionId)
  return { ...boundTo(session), isComplete: Object.hasOwn(session.completed, type) }
}

/**
 * Completes one stage of a session outside its request, as fallback pages do for clients that do not support the stage.
 * Throws what the stage throws, and M_INVALID_PARAM for an unknown session.
 * https://spec.matrix.org/v1.19/client-server-api/#fallback
 */
export async function completeStage(
  app: StageCapabilities,
  { sessionId, type, auth }: { sessionId: string; type: UiaStageType; auth: AuthData },
): Promise<void> {
  const session = await requireSession(app, sessionId)
  if (Object.hasOwn(session.completed, type)) return
  const completed = { [type]: await UIA_STAGES[type](app, { auth, ...boundTo(session) }) }
  await app.database.write((tx) => saveUiaSession(tx, { ...session, completed }, app.clock.now()))
}

/**
 * Completes the stage m.login.sso for a user who has just signed in on the pages of this server. Throws M_INVALID_PARAM
 * for an unknown session, and M_FORBIDDEN for one of another user.
 * https://spec.matrix.org/v1.19/client-server-api/#single-sign-on
 */
export async function confirmBySignIn(
  app: StageCapabilities,
  { sessionId, userId }: { sessionId: string; userId: UserId },
): Promise<void> {
  const session = await requireSession(app, sessionId)
  if (boundTo(session).userId !== userId) throw new WrongUserError()
  const completed = { 'm.login.sso': userId }
  await app.database.write((tx) => saveUiaSession(tx, { ...session, completed }, app.clock.now()))
}

async function requireSession(app: StageCapabilities, sessionId: string): Promise<UiaSession> {
  const session = await findUiaSession(app.database, sessionId, app.clock.now())
  if (session) return session
  throw new InvalidParamError('Unknown or expired authentication session')
}

/** A session's `operation` is method, path and user ID: see user-interactive-auth.ts. */
function boundTo({ operation }: UiaSession): { operation: string; userId: UserId | undefined } {
  const place = operation.lastIndexOf(' ')
  return {
    operation: operation.slice(0, place),
    userId: (operation.slice(place + 1) || undefined) as UserId | undefined,
  }
}
