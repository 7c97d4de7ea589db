import { z } from 'zod'
import { NotFoundError } from '../../../core/errors.ts'
import { ulidOf } from '../../../core/ulid.ts'
import type { ClientMetadata } from '../../../services/oauth/oauth-clients.ts'
import { countOAuthClients, findOAuthClients, listOAuthClients } from '../../../storage/mas/oauth-clients.ts'
import type { OAuthClientRow } from '../../../storage/schema/oauth.ts'
import { queryBoolean } from '../../http/fields.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { type Kind, mas, masList, masRoute, NO_ROWS, ofId, single } from './json-api.ts'

const KIND: Kind = { type: 'oauth2-client', path: mas('/oauth2-clients') }
const text = z.string().max(2048).optional()

const listClients = masList(KIND, {
  filters: {
    'filter[client-kind]': z.enum(['dynamic', 'static']).optional(),
    'filter[client-name]': text,
    'filter[client-uri]': text,
    'filter[grant-type]': text,
    'filter[has-active-sessions]': queryBoolean.optional(),
  },
  find(query, { database }) {
    // All clients have registered themselves.
    if (query['filter[client-kind]'] === 'static') return NO_ROWS
    const filter = {
      name: query['filter[client-name]']?.toLowerCase() ?? null,
      uri: query['filter[client-uri]']?.toLowerCase() ?? null,
      grantType: query['filter[grant-type]'] ?? null,
      hasSessions: query['filter[has-active-sessions]'] ?? null,
    }
    return {
      list: (page) => listOAuthClients(database, filter, page),
      count: () => countOAuthClients(database, filter),
    }
  },
  describe,
})

const getClient = masRoute({
  method: 'GET',
  path: `${KIND.path}/:id`,
  params: ofId,
  async handle({ params: { id } }, { database }) {
    const [client] = await findOAuthClients(database, [id])
    if (!client) throw new NotFoundError(`OAuth 2.0 client ID ${id} not found`)
    return single(KIND, describe(client))
  },
})

export const oauthClientEndpoints: readonly AnyEndpoint[] = [listClients, getClient]

function describe({ client_id, metadata, created_ts }: OAuthClientRow) {
  const client = JSON.parse(metadata) as ClientMetadata
  return {
    id: ulidOf(created_ts, client_id),
    attributes: {
      client_id,
      client_name: client.client_name ?? null,
      client_uri: client.client_uri,
      logo_uri: client.logo_uri ?? null,
      redirect_uris: client.redirect_uris,
      grant_types: client.grant_types,
      is_static: false,
    },
  }
}
