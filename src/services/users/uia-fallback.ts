import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUiaSession, saveUiaSession, type UiaSession } from '../../storage/users/uia-sessions.ts'
import { type AuthData, UIA_STAGES, type UiaStageType } from './uia-stages.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'serverName' | 'passwordHasher' | 'rateLimiter'>

/** What an authentication session is for, and who has to prove to be themselves in it; undefined at registration. */
export type SessionPurpose = { operation: string; userId: UserId | undefined; isComplete: boolean }

/** What a session is for, and whether a stage of it is complete. Throws M_INVALID_PARAM for a session that there is none of. */
export async function purposeOfSession(
  app: Capabilities,
  { sessionId, type }: { sessionId: string; type: UiaStageType },
): Promise<SessionPurpose> {
  const session = await requireSession(app, sessionId)
  return { ...boundTo(session), isComplete: Object.hasOwn(session.completed, type) }
}

/**
 * Completes one stage of a session apart from the request that it is for, as web pages do for clients that do not know the stage. Throws what the stage throws, and
 * M_INVALID_PARAM for a session that there is none of. https://spec.matrix.org/v1.19/client-server-api/#fallback
 */
export async function completeStage(
  app: Capabilities,
  { sessionId, type, auth }: { sessionId: string; type: UiaStageType; auth: AuthData },
): Promise<void> {
  const session = await requireSession(app, sessionId)
  if (Object.hasOwn(session.completed, type)) return
  const completed = { [type]: await UIA_STAGES[type](app, { auth, ...boundTo(session) }) }
  await app.database.write((tx) => saveUiaSession(tx, { ...session, completed }, app.clock.now()))
}

async function requireSession(app: Capabilities, sessionId: string): Promise<UiaSession> {
  const session = await findUiaSession(app.database, sessionId, app.clock.now())
  if (session) return session
  throw new InvalidParamError('There is no such authentication session, or it has expired')
}

/** `operation` of a session is method, path and user id: see user-interactive-auth.ts. */
function boundTo({ operation }: UiaSession): { operation: string; userId: UserId | undefined } {
  const place = operation.lastIndexOf(' ')
  return {
    operation: operation.slice(0, place),
    userId: (operation.slice(place + 1) || undefined) as UserId | undefined,
  }
}
