import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { apiScope, parseScope } from '../../../core/oauth-scope.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import {
  createPersonalToken,
  renewPersonalToken,
  revokePersonalToken,
} from '../../../services/users/personal-tokens.ts'
import {
  countPersonalSessions,
  findPersonalSession,
  listPersonalSessions,
  type PersonalSession,
} from '../../../storage/mas/personal-sessions.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, Reply } from '../../http/route.ts'
import { auditedUser, filteredUser, requireAccount } from './accounts.ts'
import {
  dateTime,
  type Kind,
  mas,
  masList,
  masRoute,
  maybeRfc3339,
  NO_ROWS,
  ofId,
  repeated,
  rfc3339,
  single,
  ulid,
} from './json-api.ts'

/** The personal tokens of all users. A revoked one is deleted. */
const KIND: Kind = { type: 'personal-session', path: mas('/personal-sessions') }
const MAX_SECONDS = 4_294_967_295
const lifetime = z.int().min(1).max(MAX_SECONDS).nullish()

const listPersonal = masList(KIND, {
  filters: {
    'filter[owner_user]': ulid.optional(),
    'filter[owner_client]': ulid.optional(),
    'filter[actor_user]': ulid.optional(),
    /** Not of the API, but Ketesa sends it. */
    'filter[user]': ulid.optional(),
    'filter[scope]': repeated(z.string().max(512)).optional(),
    'filter[status]': z.enum(['active', 'revoked']).optional(),
    'filter[expires_before]': dateTime.optional(),
    'filter[expires_after]': dateTime.optional(),
    'filter[expires]': queryBoolean.optional(),
  },
  async find(query, app) {
    const asked = [query['filter[owner_user]'], query['filter[actor_user]'], query['filter[user]']]
    const [user, ...others] = new Set(asked.filter((id) => id !== undefined))
    const userId = await filteredUser(app, user)
    const isEmpty = others.length > 0 || query['filter[owner_client]'] !== undefined
    if (isEmpty || query['filter[status]'] === 'revoked') return NO_ROWS
    const filter = {
      userId,
      scopes: query['filter[scope]'] ?? [],
      expires: query['filter[expires]'] ?? null,
      expiresBefore: query['filter[expires_before]'] ?? null,
      expiresAfter: query['filter[expires_after]'] ?? null,
    }
    return {
      list: (page) => listPersonalSessions(app.database, filter, page),
      count: () => countPersonalSessions(app.database, filter),
    }
  },
  describe: (session) => describe(session),
})

const postPersonal = masRoute({
  method: 'POST',
  path: KIND.path,
  body: z.object({ actor_user_id: ulid, human_name: z.string(), scope: z.string().max(4096), expires_in: lifetime }),
  auditTarget: ({ body }, app) => auditedUser(app, body.actor_user_id),
  async handle({ body, request: { ip, userAgent } }, app) {
    const { user_id: userId, created_ts } = await requireAccount(app, body.actor_user_id)
    const asked = parseScope(body.scope)
    if ('reason' in asked) throw new InvalidParamError(`scope: ${asked.reason}`)
    const { access_token, ...token } = await createPersonalToken(
      app,
      {
        userId,
        name: body.human_name,
        scope: apiScope(asked.scope),
        lifetimeMs: lifetimeOf(body.expires_in),
        deviceId: asked.rights.deviceId,
        from: { ip, userAgent },
      },
      { byOperator: true },
    )
    const session = { ...token, user_created_ts: created_ts, last_active_ip: null }
    return new Reply(201, single(KIND, describe(session, access_token)))
  },
})

const getPersonal = masRoute({
  method: 'GET',
  path: `${KIND.path}/:id`,
  params: ofId,
  handle: async ({ params }, app) => single(KIND, describe(await required(app, params.id))),
})

const postRevoke = masRoute({
  method: 'POST',
  path: `${KIND.path}/:id/revoke`,
  params: ofId,
  auditTarget: nameOwner,
  async handle({ params }, app) {
    const session = await required(app, params.id)
    await revokePersonalToken(app, { tokenId: session.token_id })
    const { id, attributes } = describe(session)
    return single(KIND, { id, attributes: { ...attributes, revoked_at: rfc3339(app.clock.now()) } }, 'revoke')
  },
})

const postRegenerate = masRoute({
  method: 'POST',
  path: `${KIND.path}/:id/regenerate`,
  params: ofId,
  body: z.object({ expires_in: lifetime }),
  auditTarget: nameOwner,
  async handle({ params: { id }, body, request: { ip, userAgent } }, app) {
    const { token_id: tokenId } = await required(app, id)
    const from = { ip, userAgent }
    const secret = await renewPersonalToken(app, { tokenId, lifetimeMs: lifetimeOf(body.expires_in), from })
    return new Reply(201, single(KIND, describe(await required(app, id), secret), 'regenerate'))
  },
})

export const personalSessionEndpoints: readonly AnyEndpoint[] = [
  listPersonal,
  postPersonal,
  getPersonal,
  postRevoke,
  postRegenerate,
]

async function required({ database }: Pick<App, 'database'>, id: Ulid): Promise<PersonalSession> {
  const session = await findPersonalSession(database, id)
  if (!session) throw new NotFoundError('Personal session not found')
  return session
}

async function nameOwner({ params }: { params: { id: Ulid } }, { database }: App): Promise<string | undefined> {
  return (await findPersonalSession(database, params.id))?.user_id
}

function lifetimeOf(seconds: number | null | undefined): number | undefined {
  return seconds == null ? undefined : seconds * 1000
}

/** `secret`: only in the answer that issues it. */
function describe(session: PersonalSession, secret?: string) {
  const user = ulidOf(session.user_created_ts, session.user_id)
  return {
    id: ulidOf(session.created_ts, session.token_id),
    attributes: {
      created_at: rfc3339(session.created_ts),
      revoked_at: null,
      owner_user_id: user,
      owner_client_id: null,
      actor_user_id: user,
      human_name: session.name,
      scope: session.scope,
      last_active_at: maybeRfc3339(session.last_used_ts, 0),
      last_active_ip: session.last_active_ip,
      expires_at: maybeRfc3339(session.expires_ts),
      ...(secret !== undefined && { access_token: secret }),
    },
  }
}
