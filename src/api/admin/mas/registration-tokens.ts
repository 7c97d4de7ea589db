import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import {
  changeRegistrationToken,
  createRegistrationToken,
  isUsableToken,
} from '../../../services/users/registration/registration-token-validity.ts'
import {
  countRegistrationTokens,
  findRegistrationTokenByUlid,
  pageRegistrationTokens,
} from '../../../storage/mas/registration-tokens.ts'
import type { RegistrationTokenRow } from '../../../storage/schema/users.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, Reply } from '../../http/route.ts'
import { dateTime, type Kind, mas, masList, masRoute, maybeRfc3339, ofId, rfc3339, single } from './json-api.ts'

const KIND: Kind = { type: 'user-registration_token', path: mas('/user-registration-tokens') }
const MAX_USES = 2_147_483_647
const limits = {
  usage_limit: z.int().min(0).max(MAX_USES).nullish(),
  expires_at: dateTime.nullish(),
}

/** A token with whether it is usable now. */
type ValidatedToken = RegistrationTokenRow & { isValid: boolean }

const listTokens = masList(KIND, {
  filters: {
    'filter[used]': queryBoolean.optional(),
    'filter[revoked]': queryBoolean.optional(),
    'filter[expired]': queryBoolean.optional(),
    'filter[valid]': queryBoolean.optional(),
  },
  find(query, { database, clock }) {
    const now = clock.now()
    const filter = {
      used: query['filter[used]'] ?? null,
      revoked: query['filter[revoked]'] ?? null,
      expired: query['filter[expired]'] ?? null,
      valid: query['filter[valid]'] ?? null,
      now,
    }
    return {
      async list(page): Promise<ValidatedToken[]> {
        const tokens = await pageRegistrationTokens(database, filter, page)
        return tokens.map((token) => ({ ...token, isValid: isUsableToken(token, now) }))
      },
      count: () => countRegistrationTokens(database, filter),
    }
  },
  describe,
})

const postToken = masRoute({
  method: 'POST',
  path: KIND.path,
  body: z.object({ ...limits, token: z.string().nullish() }),
  async handle({ body: { token, usage_limit: usesAllowed = null, expires_at: expiresTs = null } }, app) {
    const created = await createRegistrationToken(app, { token: token ?? undefined, usesAllowed, expiresTs })
    return new Reply(201, answer(app, created))
  },
})

const getToken = masRoute({
  method: 'GET',
  path: `${KIND.path}/:id`,
  params: ofId,
  handle: async ({ params }, app) => answer(app, await requireToken(app, params.id)),
})

const putToken = masRoute({
  method: 'PUT',
  path: `${KIND.path}/:id`,
  params: ofId,
  body: z.object(limits),
  auditTarget: nameToken,
  async handle({ params, body: { usage_limit, expires_at } }, app) {
    const { token } = await requireToken(app, params.id)
    const change = {
      ...(usage_limit !== undefined && { uses_allowed: usage_limit }),
      ...(expires_at !== undefined && { expires_ts: expires_at }),
    }
    return answer(app, await changeRegistrationToken(app, token, change))
  },
})

const postRevoke = masRoute({
  method: 'POST',
  path: `${KIND.path}/:id/revoke`,
  params: ofId,
  auditTarget: nameToken,
  async handle({ params: { id } }, app) {
    const { token, revoked_ts } = await requireToken(app, id)
    if (revoked_ts !== null) throw new InvalidParamError(`Registration token with ID ${id} is already revoked`)
    const revoked = await changeRegistrationToken(app, token, { revoked_ts: app.clock.now() })
    return answer(app, revoked, 'revoke')
  },
})

const postUnrevoke = masRoute({
  method: 'POST',
  path: `${KIND.path}/:id/unrevoke`,
  params: ofId,
  auditTarget: nameToken,
  async handle({ params: { id } }, app) {
    const { token, revoked_ts } = await requireToken(app, id)
    if (revoked_ts === null) throw new InvalidParamError(`Registration token with ID ${id} is not revoked`)
    return answer(app, await changeRegistrationToken(app, token, { revoked_ts: null }), 'unrevoke')
  },
})

export const masRegistrationTokenEndpoints: readonly AnyEndpoint[] = [
  listTokens,
  postToken,
  getToken,
  putToken,
  postRevoke,
  postUnrevoke,
]

async function requireToken({ database }: Pick<App, 'database'>, id: Ulid): Promise<RegistrationTokenRow> {
  const token = await findRegistrationTokenByUlid(database, id)
  if (!token) throw new NotFoundError(`Registration token with ID ${id} not found`)
  return token
}

async function nameToken({ params }: { params: { id: Ulid } }, { database }: App): Promise<string | undefined> {
  return (await findRegistrationTokenByUlid(database, params.id))?.token
}

function answer({ clock }: Pick<App, 'clock'>, token: RegistrationTokenRow, self?: string): object {
  return single(KIND, describe({ ...token, isValid: isUsableToken(token, clock.now()) }), self)
}

function describe(token: ValidatedToken) {
  return {
    id: ulidOf(token.created_ts, token.token),
    attributes: {
      token: token.token,
      valid: token.isValid,
      usage_limit: token.uses_allowed,
      times_used: token.uses_completed,
      created_at: rfc3339(token.created_ts),
      last_used_at: maybeRfc3339(token.last_used_ts),
      expires_at: maybeRfc3339(token.expires_ts),
      revoked_at: maybeRfc3339(token.revoked_ts),
    },
  }
}
