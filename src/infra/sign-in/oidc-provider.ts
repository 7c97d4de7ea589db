import type { JWTVerifyGetKey } from 'jose'
import type { ClientAuth, Configuration, IDToken, ServerMetadata } from 'openid-client'
import type { OidcProviderConfig } from '../../config.ts'
import type { Clock } from '../clock.ts'
import { mergeClaims } from './merge-claims.ts'
import { PROVIDER_TIMEOUT_MS, type ProviderFetch } from './provider-fetch.ts'
import { UpstreamError, type UpstreamFault, type UpstreamLogout, type UpstreamProvider } from './upstream-provider.ts'

/** How long the provider's metadata is used; after that it is still used if the provider does not answer. */
const METADATA_MS = 60 * 60_000
const CLOCK_TOLERANCE_S = 60
/** How old a logout token may be; its ID is remembered for longer. */
export const LOGOUT_TOKEN_SECONDS = 10 * 60
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

type Discovered = { configuration: Configuration; keys: JWTVerifyGetKey | undefined; untilTs: number }

/** OpenID Connect with an authorization code, PKCE and a signed ID token. Loads its libraries on first use. */
export function createOidcProvider(
  config: OidcProviderConfig,
  { fetch, clock }: { fetch: ProviderFetch; clock: Clock },
): UpstreamProvider {
  const { discover, forget } = keepDiscovered(config, { fetch, clock })
  return {
    config,
    async authorizationUrl({ callback, state, nonce, codeVerifier, againSinceTs }) {
      const { configuration } = await discover()
      const { buildAuthorizationUrl, calculatePKCECodeChallenge } = await import('openid-client')
      return buildAuthorizationUrl(configuration, {
        redirect_uri: callback,
        scope: config.scopes.join(' '),
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...(againSinceTs !== null && { prompt: 'login' }),
      }).href
    },
    async identify({ callback, state, nonce, codeVerifier, againSinceTs }, answer) {
      const { configuration } = await discover()
      const { authorizationCodeGrant, fetchUserInfo } = await import('openid-client')
      try {
        const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier }
        const tokens = await authorizationCodeGrant(configuration, new URL(`${callback}?${answer}`), checks)
        const idClaims = tokens.claims()!
        requireNewSignIn(idClaims, againSinceTs)
        const { userinfo_endpoint: hasUserInfo } = configuration.serverMetadata()
        const userInfo = hasUserInfo && (await fetchUserInfo(configuration, tokens.access_token, idClaims.sub))
        const sid = typeof idClaims.sid === 'string' ? idClaims.sid : undefined
        return { subject: idClaims.sub, sid, claims: mergeClaims(idClaims, userInfo || {}) }
      } catch (error) {
        const fault = error instanceof UpstreamError ? error : asUpstreamError(error)
        // The provider may have other keys now.
        if (fault.fault === 'invalid') forget()
        throw fault
      }
    },
    async readLogout(token) {
      return readLogoutToken(config, await discover(), { token, now: clock.now() })
    },
  }
}

/** A provider that names no time of the sign-in is trusted to obey `prompt=login`. */
function requireNewSignIn({ auth_time: authTime }: IDToken, againSinceTs: number | null): void {
  if (againSinceTs === null || authTime === undefined) return
  if ((authTime + CLOCK_TOLERANCE_S) * 1000 < againSinceTs)
    throw new UpstreamError('refused', 'The provider did not ask the user to sign in again')
}

/** Keeps the metadata and keys of a provider for an hour. `forget`: discovers them again at the next occasion. */
function keepDiscovered(
  config: OidcProviderConfig,
  { fetch, clock }: { fetch: ProviderFetch; clock: Clock },
): { discover(): Promise<Discovered>; forget(): void } {
  let discovered: Discovered | undefined
  let discovering: Promise<Discovered> | undefined

  async function discoverAgain(): Promise<Discovered> {
    try {
      discovered = { ...(await discoverProvider(config, fetch)), untilTs: clock.now() + METADATA_MS }
    } catch (error) {
      if (!discovered || !(error instanceof UpstreamError) || error.fault !== 'unreachable') throw error
    } finally {
      discovering = undefined
    }
    return discovered
  }

  return {
    async discover() {
      if (discovered && discovered.untilTs > clock.now()) return discovered
      discovering ??= discoverAgain()
      return discovering
    },
    forget() {
      if (discovered) discovered.untilTs = 0
    },
  }
}

async function discoverProvider(
  config: OidcProviderConfig,
  fetch: ProviderFetch,
): Promise<Omit<Discovered, 'untilTs'>> {
  const client = await import('openid-client')
  const { createRemoteJWKSet, customFetch } = await import('jose')
  const issuer = new URL(config.issuer)
  try {
    const configuration = await client.discovery(
      issuer,
      config.client_id,
      { [client.clockTolerance]: CLOCK_TOLERANCE_S },
      await clientAuthentication(config),
      {
        [client.customFetch]: fetch,
        timeout: PROVIDER_TIMEOUT_MS / 1000,
        // The operator names the issuer. One without TLS is on the same machine or in a trusted network.
        execute: [
          client.enableNonRepudiationChecks,
          ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []),
        ],
      },
    )
    return { configuration, keys: keysOf(configuration.serverMetadata()) }
  } catch (error) {
    throw asUpstreamError(error)
  }

  function keysOf({ jwks_uri }: ServerMetadata): JWTVerifyGetKey | undefined {
    return jwks_uri === undefined ? undefined : createRemoteJWKSet(new URL(jwks_uri), { [customFetch]: fetch })
  }
}

async function clientAuthentication({ client_secret, client_authentication }: OidcProviderConfig): Promise<ClientAuth> {
  const { ClientSecretBasic, ClientSecretJwt, ClientSecretPost, None } = await import('openid-client')
  if (client_secret === undefined) return None()
  const ways = {
    client_secret_basic: ClientSecretBasic,
    client_secret_post: ClientSecretPost,
    client_secret_jwt: ClientSecretJwt,
  }
  return ways[client_authentication](client_secret)
}

/** https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation */
async function readLogoutToken(
  config: OidcProviderConfig,
  { configuration, keys }: Discovered,
  { token, now }: { token: string; now: number },
): Promise<UpstreamLogout> {
  const { jwtVerify } = await import('jose')
  const { issuer } = configuration.serverMetadata()
  if (!keys) throw new UpstreamError('misconfigured', 'The provider publishes no keys')
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: config.client_id,
      clockTolerance: CLOCK_TOLERANCE_S,
      maxTokenAge: LOGOUT_TOKEN_SECONDS,
      currentDate: new Date(now),
      requiredClaims: ['jti', 'iat', 'events'],
    })
    const { events, jti, sub, sid, nonce } = payload
    const isLogout = typeof events === 'object' && events !== null && Object.hasOwn(events, LOGOUT_EVENT)
    const session = typeof sid === 'string' ? sid : undefined
    if (!isLogout || nonce !== undefined || (sub === undefined && session === undefined))
      throw new UpstreamError('invalid', 'The token is no logout token')
    return { subject: sub, sid: session, tokenId: jti! }
  } catch (error) {
    throw error instanceof UpstreamError ? error : asUpstreamError(error)
  }
}

/** Returns the error for users for one of openid-client or jose. */
function asUpstreamError(error: unknown): UpstreamError {
  const message = error instanceof Error ? error.message : String(error)
  return new UpstreamError(faultOf(error as Fault), message, error)
}

type Fault = { name?: string; code?: string; error?: string; status?: number; cause?: unknown; message?: string }

const FAULTS: Readonly<Record<string, UpstreamFault>> = {
  access_denied: 'denied',
  server_error: 'unreachable',
  temporarily_unavailable: 'unreachable',
  invalid_client: 'misconfigured',
  unauthorized_client: 'misconfigured',
  invalid_scope: 'misconfigured',
}

function faultOf(error: Fault): UpstreamFault {
  const { name, code = '', cause } = error
  if (name === 'TypeError' && code === '') return 'unreachable'
  if (code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT' || code === 'ERR_JWKS_TIMEOUT') return 'unreachable'
  if (code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED' || code === 'ERR_JWT_EXPIRED') return 'clock'
  if (error.error !== undefined) return FAULTS[error.error] ?? ((error.status ?? 0) >= 500 ? 'unreachable' : 'refused')
  const status = cause instanceof Response ? cause.status : 0
  if (status >= 500 || status === 429) return 'unreachable'
  if (status === 401 || status === 403 || status === 404) return 'misconfigured'
  return isIssuerMismatch(error) ? 'misconfigured' : 'invalid'
}

function isIssuerMismatch({ code, cause }: Fault): boolean {
  const attribute = (cause as { attribute?: unknown } | undefined)?.attribute
  return code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED' && attribute === 'issuer'
}
