import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { ProviderConfig } from '../../../config.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import { linkProvider, unlinkProvider } from '../../../services/sign-in/upstream-links.ts'
import type { UlidPage } from '../../../storage/engine/ulid-pages.ts'
import {
  countUpstreamLinks,
  findUpstreamLink,
  type ListedLink,
  listUpstreamLinks,
} from '../../../storage/mas/upstream-links.ts'
import { findLinkedUser } from '../../../storage/sign-in/upstream-links.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, Reply } from '../../http/route.ts'
import { auditedUser, filteredUser, requireAccount } from './accounts.ts'
import { type Kind, mas, masList, masRoute, NO_ROWS, ofId, rfc3339, single, ulid } from './json-api.ts'

const LINK: Kind = { type: 'upstream-oauth-link', path: mas('/upstream-oauth-links') }
const PROVIDER: Kind = { type: 'upstream-oauth-provider', path: mas('/upstream-oauth-providers') }
const MAX_SUBJECT = 1024
const text = z.string().max(MAX_SUBJECT)

const listLinks = masList(LINK, {
  filters: {
    'filter[user]': ulid.optional(),
    'filter[provider]': ulid.optional(),
    'filter[subject]': text.optional(),
    'filter[human-account-name]': text.optional(),
  },
  async find(query, app) {
    const provider = query['filter[provider]']
    const filter = {
      userId: await filteredUser(app, query['filter[user]']),
      providerId: provider === undefined ? null : requireProvider(app, provider).id,
      subject: query['filter[subject]'] ?? null,
      label: query['filter[human-account-name]']?.toLowerCase() ?? null,
    }
    return {
      list: (page) => listUpstreamLinks(app.database, filter, page),
      count: () => countUpstreamLinks(app.database, filter),
    }
  },
  describe: describeLink,
})

const postLink = masRoute({
  method: 'POST',
  path: LINK.path,
  body: z.object({ user_id: ulid, provider_id: ulid, subject: text, human_account_name: text.nullish() }),
  auditTarget: ({ body }, app) => auditedUser(app, body.user_id),
  async handle({ body }, app) {
    const user = await requireAccount(app, body.user_id)
    const account = { providerId: requireProvider(app, body.provider_id).id, subject: body.subject }
    const isKnown = (await findLinkedUser(app.database, account)) === user.user_id
    const label = body.human_account_name ?? undefined
    const linked = await linkProvider(app, { ...account, userId: user.user_id, label })
    const link = { ...linked, user_created_ts: user.created_ts }
    return new Reply(isKnown ? 200 : 201, single(LINK, describeLink(link)))
  },
})

const getLink = masRoute({
  method: 'GET',
  path: `${LINK.path}/:id`,
  params: ofId,
  handle: async ({ params }, app) => single(LINK, describeLink(await requireLink(app, params.id))),
})

const deleteLink = masRoute({
  method: 'DELETE',
  path: `${LINK.path}/:id`,
  params: ofId,
  auditTarget: async ({ params }, app) => (await findUpstreamLink(app.database, params.id))?.user_id,
  async handle({ params }, app) {
    const { provider_id: providerId, subject, user_id: userId } = await requireLink(app, params.id)
    await unlinkProvider(app, { providerId, subject, userId, byAdmin: true })
    return new Reply(204, '')
  },
})

/** The identity providers of the configuration, which all are enabled. */
const listProviders = masList(PROVIDER, {
  filters: { 'filter[enabled]': queryBoolean.optional() },
  find(query, app) {
    if (query['filter[enabled]'] === false) return NO_ROWS
    const providers = providersOf(app)
    return { list: async (page) => providersIn(providers, page), count: async () => providers.length }
  },
  describe: describeProvider,
})

const getProvider = masRoute({
  method: 'GET',
  path: `${PROVIDER.path}/:id`,
  params: ofId,
  handle: ({ params }, app) => single(PROVIDER, describeProvider(requireProvider(app, params.id))),
})

export const upstreamEndpoints: readonly AnyEndpoint[] = [
  listLinks,
  postLink,
  getLink,
  deleteLink,
  listProviders,
  getProvider,
]

async function requireLink({ database }: Pick<App, 'database'>, id: Ulid): Promise<ListedLink> {
  const link = await findUpstreamLink(database, id)
  if (!link) throw new NotFoundError(`Upstream OAuth 2.0 Link ID ${id} not found`)
  return link
}

function describeLink({ provider_id, subject, user_id, label, linked_ts, user_created_ts }: ListedLink) {
  return {
    id: ulidOf(linked_ts, `${provider_id} ${subject}`),
    attributes: {
      created_at: rfc3339(linked_ts),
      provider_id: ulidOfProvider(provider_id),
      subject,
      user_id: ulidOf(user_created_ts, user_id),
      human_account_name: label === '' ? null : label,
    },
  }
}

/** The configuration does not say since when it has a provider. */
function ulidOfProvider(id: string): Ulid {
  return ulidOf(0, id)
}

function providersOf({ identityProviders }: Pick<App, 'identityProviders'>): ProviderConfig[] {
  const configs = [...identityProviders.values()].map(({ config }) => config)
  return configs.sort((a, b) => (ulidOfProvider(a.id) < ulidOfProvider(b.id) ? -1 : 1))
}

function providersIn(providers: readonly ProviderConfig[], page: UlidPage): ProviderConfig[] {
  const within = providers.filter(({ id }) => {
    const own = ulidOfProvider(id)
    return (page.after === null || own > page.after) && (page.before === null || own < page.before)
  })
  return (page.fromEnd ? within.reverse() : within).slice(0, page.limit)
}

function requireProvider(app: Pick<App, 'identityProviders'>, id: Ulid): ProviderConfig {
  const provider = providersOf(app).find((config) => ulidOfProvider(config.id) === id)
  if (!provider) throw new NotFoundError(`Upstream OAuth 2.0 provider ID ${id} not found`)
  return provider
}

function describeProvider(config: ProviderConfig) {
  return {
    id: ulidOfProvider(config.id),
    attributes: {
      issuer: config.kind === 'oidc' ? config.issuer : config.server_url,
      human_name: config.name,
      brand_name: config.brand ?? null,
      created_at: rfc3339(0),
      disabled_at: null,
      registration_token_required: false,
    },
  }
}
