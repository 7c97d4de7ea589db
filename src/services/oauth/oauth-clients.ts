import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import { fits } from '../../core/limits.ts'
import {
  type ClientOrigin,
  isOfClient,
  matchesRedirect,
  mayRegisterRedirect,
  parseClientUri,
} from '../../core/oauth-redirect.ts'
import {
  deleteUnusedClients,
  findOAuthClient,
  prolongOAuthClient,
  upsertOAuthClient,
} from '../../storage/oauth/oauth-clients.ts'
import { OAuthError } from './oauth-error.ts'

/** https://datatracker.ietf.org/doc/html/rfc8628#section-3.4 */
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
/** Grants that this server knows. */
export const GRANT_TYPES = ['authorization_code', 'refresh_token', DEVICE_GRANT] as const

/** The registered metadata of a client: https://spec.matrix.org/v1.19/client-server-api/#client-metadata */
export type ClientMetadata = {
  client_uri: string
  client_name?: string
  logo_uri?: string
  tos_uri?: string
  policy_uri?: string
  redirect_uris: string[]
  response_types: string[]
  grant_types: string[]
  token_endpoint_auth_method: 'none'
  application_type: 'web' | 'native'
  id_token_signed_response_alg?: 'RS256'
}

export type OAuthClient = { clientId: string; metadata: ClientMetadata; expiresTs: number }

const MAX_REDIRECTS = 50
const text = z.string().min(1).max(2048)

const requestedMetadata = z.object({
  client_uri: text,
  // It becomes the name of devices, which PostgreSQL stores as text.
  client_name: z
    .string()
    .max(255)
    .regex(/^[^\0]*$/, 'cannot contain the character NUL')
    .optional(),
  logo_uri: text.optional(),
  tos_uri: text.optional(),
  policy_uri: text.optional(),
  redirect_uris: z.array(text).max(MAX_REDIRECTS).optional(),
  response_types: z.array(z.string()).max(MAX_REDIRECTS).optional(),
  grant_types: z.array(z.string()).max(MAX_REDIRECTS).optional(),
  application_type: z.enum(['web', 'native']).optional(),
  id_token_signed_response_alg: z.string().optional(),
})

/** A client is prolonged when this share of its lifetime has passed, not at each use. */
const PROLONGED_AFTER = 1 / 10

/**
 * Registers a client; equal metadata return the same client. `admitNew` runs before a client is added that is not
 * registered yet, and may throw. Throws `invalid_client_metadata` and `invalid_redirect_uri`.
 * https://spec.matrix.org/v1.19/client-server-api/#client-registration
 */
export async function registerOAuthClient(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  request: unknown,
  admitNew: () => Promise<void>,
): Promise<OAuthClient> {
  const metadata = readMetadata(app, request)
  const json = canonicalJson(metadata)
  if (!fits(json, app.config.limits.sizes.oauth_client)) {
    throw new OAuthError('invalid_client_metadata', 'The metadata is too large')
  }
  const clientId = createHash('sha256').update(json).digest('base64url')
  const known = await findOAuthClient(app.database, clientId)
  if (known) {
    const client = { clientId, metadata, expiresTs: known.expires_ts }
    await noteClientUse(app, client)
    return client
  }
  await admitNew()
  const now = app.clock.now()
  const expiresTs = now + app.config.oauth.unused_client_lifetime
  await app.database.write(async (tx) => {
    await deleteUnusedClients(tx, { now, expiresTs })
    await upsertOAuthClient(tx, { client_id: clientId, metadata: json, created_ts: now, expires_ts: expiresTs })
  })
  return { clientId, metadata, expiresTs }
}

/** A hash, or the ULID of a client that was imported from the Matrix Authentication Service. */
const CLIENT_ID = /^([A-Za-z0-9_-]{43}|[0-9A-Z]{26})$/

/** Finds a registered client. Throws `invalid_client`. */
export async function findClient(app: Pick<App, 'database'>, clientId: string): Promise<OAuthClient> {
  const row = CLIENT_ID.test(clientId) ? await findOAuthClient(app.database, clientId) : undefined
  if (!row) throw new OAuthError('invalid_client', 'This client is not registered, or its registration has expired')
  return { clientId, metadata: JSON.parse(row.metadata) as ClientMetadata, expiresTs: row.expires_ts }
}

/** Keeps a client from expiring because it is in use. */
export async function noteClientUse(
  { database, clock, config }: Pick<App, 'database' | 'clock' | 'config'>,
  client: OAuthClient,
): Promise<void> {
  const lifetime = config.oauth.unused_client_lifetime
  const expiresTs = clock.now() + lifetime
  if (expiresTs - client.expiresTs < lifetime * PROLONGED_AFTER) return
  await database.write((tx) => prolongOAuthClient(tx, client.clientId, expiresTs))
}

/** Whether a client has registered a redirect URI. */
export function hasRedirect({ metadata }: OAuthClient, redirectUri: string): boolean {
  return metadata.redirect_uris.some((registered) => matchesRedirect(redirectUri, registered))
}

/** Returns the name of a client for users, and the host that proves who provides it. */
export function clientLabel({ metadata }: Pick<OAuthClient, 'metadata'>): { name: string; host: string } {
  const { host } = new URL(metadata.client_uri)
  return { name: metadata.client_name ?? host, host }
}

function readMetadata({ config }: Pick<App, 'config'>, request: unknown): ClientMetadata {
  const parsed = requestedMetadata.safeParse(request)
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!
    throw new OAuthError('invalid_client_metadata', `${path.join('.') || 'The metadata'}: ${message}`)
  }
  const asked = parsed.data
  const origin = originOf(asked, config.oauth.development_clients)
  for (const key of ['logo_uri', 'tos_uri', 'policy_uri'] as const) {
    if (asked[key] !== undefined && !isOfClient(asked[key], origin))
      throw new OAuthError('invalid_client_metadata', `${key}: must be https on the host of client_uri`)
  }
  const responseTypes = asked.response_types ?? ['code']
  const grantTypes = GRANT_TYPES.filter((type) => (asked.grant_types ?? GRANT_TYPES).includes(type))
  const isByCode = grantTypes.includes('authorization_code')
  if (isByCode && !responseTypes.includes('code'))
    throw new OAuthError('invalid_client_metadata', 'response_types: only code is supported')
  return {
    client_uri: asked.client_uri,
    ...(asked.client_name && { client_name: asked.client_name }),
    ...(asked.logo_uri && { logo_uri: asked.logo_uri }),
    ...(asked.tos_uri && { tos_uri: asked.tos_uri }),
    ...(asked.policy_uri && { policy_uri: asked.policy_uri }),
    redirect_uris: redirectsOf(asked.redirect_uris, { origin, isByCode }),
    response_types: isByCode ? ['code'] : [],
    grant_types: grantTypes,
    token_endpoint_auth_method: 'none',
    application_type: asked.application_type ?? 'web',
    ...(asked.id_token_signed_response_alg && { id_token_signed_response_alg: 'RS256' }),
  }
}

function originOf(
  { client_uri, application_type }: z.output<typeof requestedMetadata>,
  allowsLocalhost: boolean,
): ClientOrigin {
  const clientUri = parseClientUri(client_uri, { allowsLocalhost })
  if (!clientUri) throw new OAuthError('invalid_client_metadata', 'client_uri: must be an https URL')
  return { clientUri, isNative: application_type === 'native', allowsLocalhost }
}

function redirectsOf(
  redirects: readonly string[] = [],
  { origin, isByCode }: { origin: ClientOrigin; isByCode: boolean },
): string[] {
  if (isByCode && redirects.length === 0)
    throw new OAuthError('invalid_redirect_uri', 'redirect_uris: at least one is needed')
  const refused = redirects.find((redirect) => !mayRegisterRedirect(redirect, origin))
  if (refused === undefined) return [...redirects]
  const rule = origin.isNative
    ? 'must be https on the host of client_uri, a private scheme of that host in reverse order, or http on localhost'
    : 'must be https on the host of client_uri'
  throw new OAuthError('invalid_redirect_uri', `redirect_uris: each ${rule}`)
}
