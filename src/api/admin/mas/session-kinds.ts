import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import { removeDevices } from '../../../services/devices/devices.ts'
import { endOAuthSession } from '../../../services/oauth/end-oauth-session.ts'
import { signOutBrowser } from '../../../services/sign-in/signed-in-browsers.ts'
import { countCompatSessions, findCompatSession, listCompatSessions } from '../../../storage/mas/compat-sessions.ts'
import { findOAuthClients } from '../../../storage/mas/oauth-clients.ts'
import { countOAuthSessions, findListedOAuthSession, listOAuthSessions } from '../../../storage/mas/oauth-sessions.ts'
import { countUserSessions, findUserSession, listUserSessions } from '../../../storage/mas/user-sessions.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { mas, NO_ROWS, repeated, ulid } from './json-api.ts'
import { sessionAttributes, sessionEndpoints } from './sessions.ts'

/** Sessions of clients that logged in by `/login`. */
export const compatSessionEndpoints: readonly AnyEndpoint[] = sessionEndpoints({
  type: 'compat-session',
  path: mas('/compat-sessions'),
  name: 'Compatibility session',
  filters: {},
  rows: ({ database }, filter) => ({
    list: (page) => listCompatSessions(database, filter, page),
    count: () => countCompatSessions(database, filter),
  }),
  find: ({ database }, id) => findCompatSession(database, id),
  describe: (session) => ({
    id: ulidOf(session.created_ts, `${session.user_id} ${session.device_id}`),
    attributes: {
      ...sessionAttributes(session),
      device_id: session.device_id,
      user_session_id: null,
      redirect_uri: null,
      human_name: session.display_name,
    },
  }),
  end: (app, { user_id, device_id }) => removeDevices(app, user_id, [device_id]),
})

/** Sessions of OAuth clients. */
export const oauthSessionEndpoints: readonly AnyEndpoint[] = sessionEndpoints({
  type: 'oauth2-session',
  path: mas('/oauth2-sessions'),
  name: 'OAuth 2.0 session',
  filters: {
    'filter[client]': repeated(ulid).optional(),
    'filter[client-kind]': z.enum(['dynamic', 'static']).optional(),
    'filter[scope]': repeated(z.string().max(512)).optional(),
  },
  async rows({ database }, filter, query) {
    // All clients have registered themselves.
    if (query['filter[client-kind]'] === 'static') return NO_ROWS
    const clients = query['filter[client]']
    const clientIds = clients ? await idsOfClients({ database }, clients) : null
    const wanted = { ...filter, clientIds, scopes: query['filter[scope]'] ?? [] }
    return {
      list: (page) => listOAuthSessions(database, wanted, page),
      count: () => countOAuthSessions(database, wanted),
    }
  },
  find: ({ database }, id) => findListedOAuthSession(database, id),
  describe: (session) => ({
    id: ulidOf(session.created_ts, String(session.session_nid)),
    attributes: {
      ...sessionAttributes(session),
      user_session_id: null,
      client_id: ulidOf(session.client_created_ts, session.client_id),
      scope: session.scope,
      human_name: session.display_name,
    },
  }),
  end: (app, session) => app.database.write((tx) => endOAuthSession(tx, session)),
})

/** Browsers in which users are signed in on the pages of this server. */
export const userSessionEndpoints: readonly AnyEndpoint[] = sessionEndpoints({
  type: 'user-session',
  path: mas('/user-sessions'),
  name: 'User session',
  filters: {},
  rows({ database, clock }, filter) {
    const wanted = { ...filter, now: clock.now() }
    return {
      list: (page) => listUserSessions(database, wanted, page),
      count: () => countUserSessions(database, wanted),
    }
  },
  find: ({ database, clock }, id) => findUserSession(database, id, clock.now()),
  describe: (session) => ({
    id: ulidOf(session.created_ts, session.cookie_hash),
    attributes: sessionAttributes(session),
  }),
  end: (app, { user_id, cookie_hash }) => signOutBrowser(app, user_id, cookie_hash),
})

/** Returns the IDs of clients by their ULIDs; unknown ones are left out. */
export async function idsOfClients({ database }: Pick<App, 'database'>, ids: readonly Ulid[]): Promise<string[]> {
  return (await findOAuthClients(database, ids)).map(({ client_id }) => client_id)
}
