import type { z } from 'zod'
import type { App } from '../../../app.ts'
import { onBehalfOf } from '../../../services/federation/requests/on-behalf-of.ts'
import { type AdminAct, recordAct } from '../../../services/users/administration/audit-log.ts'
import type { Session } from '../../../services/users/session.ts'
import { adminActOf } from '../../http/admin-act.ts'
import { blameRequest, parsePart } from '../../http/errors.ts'
import type { AnyEndpoint, Endpoint } from '../../http/route.ts'
import type { AdminVisit } from './admin-page.ts'

type Input<Schema> = Schema extends z.ZodType ? z.input<Schema> : undefined

/** Parameters of an endpoint, as a request would have them. */
type Given<Params, Query, Body> = { params?: Input<Params>; query?: Input<Query>; body?: Input<Body> }

/**
 * Performs an act by its endpoint of the admin API: with the same validation and the same entry in the audit log.
 * Returns the answer of the endpoint. Throws as the endpoint.
 */
export async function performAct<
  Params extends z.ZodType | undefined,
  Query extends z.ZodType | undefined,
  Body extends z.ZodType | undefined,
>(
  app: App,
  visit: AdminVisit,
  endpoint: Endpoint<'admin', Params, Query, Body>,
  given: Given<Params, Query, Body>,
): Promise<unknown> {
  const session = sessionOf(visit)
  const { params, query, body } = endpoint as AnyEndpoint
  const call = {
    ...visit.call,
    session,
    owner: session.userId,
    params: params && parsePart('path', params, given.params),
    query: query && parsePart('query', query, given.query ?? {}),
    body: body && parsePart('body', body, given.body ?? {}),
  }
  const perform = async (within: App) => {
    try {
      return await (endpoint as AnyEndpoint).handle(call, onBehalfOf(within, { kind: 'user', id: session.userId }))
    } catch (error) {
      throw blameRequest(error, { url: visit.path, body: given })
    }
  }
  const act = adminActOf(endpoint, call, { session, ip: visit.browser.ip })
  return act ? recordAct(app, act, perform) : perform(app)
}

/** The session of an administrator in a browser, as endpoints know sessions. */
function sessionOf({ session: { userId, sessionId, isLocked, isExpired, isSuspended } }: AdminVisit): Session {
  return {
    ...{ userId, deviceId: null, isAdmin: true, isGuest: false, isLocked, isExpired, isSuspended },
    ...{
      isShadowBanned: false,
      createdTs: 0,
      exemptFromRateLimits: false,
      tokenHash: sessionId,
      scope: null,
      appservice: null,
    },
  }
}

/** Performs an act that the admin API lacks, with its entry in the audit log. `action`: the path of its page. */
export function performOwnAct<Result>(
  app: App,
  { session, browser }: AdminVisit,
  { action, target, details = {} }: { action: string; target: string; details?: AdminAct['details'] },
  perform: (within: App) => Promise<Result>,
): Promise<Result> {
  const act = { actor: session.userId, action: `POST ${action}`, target, details, address: browser.ip }
  return recordAct(app, act, perform)
}
