import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { JWK } from 'jose'
import type { App } from '../../app.ts'
import { localpartOf, type UserId } from '../../core/ids.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { issuerOf } from './metadata.ts'

/** The only algorithm that all OpenID Connect clients know. */
const ID_TOKEN_ALGORITHM = 'RS256'

const SECRET_NAME = 'oauth_signing_key'
const MODULUS_BITS = 2048
const LIFETIME_MS = 60 * 60_000

/** Claims about a user: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims */
export type UserClaims = { sub: string; preferred_username: string; name?: string }

/** Returns the keys that verify ID tokens. */
export async function loadJwks(app: Pick<App, 'database'>): Promise<{ keys: JWK[] }> {
  const { kty, n, e, kid } = await signingJwk(app)
  return { keys: [{ kty, n, e, kid, use: 'sig', alg: ID_TOKEN_ALGORITHM } as JWK] }
}

/** Returns the claims that the scope `openid` permits. */
export async function loadUserClaims({ database }: Pick<App, 'database'>, userId: UserId): Promise<UserClaims> {
  const { displayname: name } = await loadProfile(database, userId)
  return { sub: userId, preferred_username: localpartOf(userId), ...(typeof name === 'string' && { name }) }
}

/** Signs an ID token: https://openid.net/specs/openid-connect-core-1_0.html#IDToken */
export async function signIdToken(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  { userId, ...signIn }: { userId: UserId; clientId: string; nonce: string | null; authenticatedTs: number },
): Promise<string> {
  const jwk = await signingJwk(app)
  const now = seconds(app.clock.now())
  const claims = {
    ...(await loadUserClaims(app, userId)),
    ...(signIn.nonce !== null && { nonce: signIn.nonce }),
    auth_time: seconds(signIn.authenticatedTs),
  }
  const { importJWK, SignJWT } = await import('jose')
  return new SignJWT(claims)
    .setProtectedHeader({ alg: ID_TOKEN_ALGORITHM, typ: 'JWT', kid: jwk.kid! })
    .setIssuer(issuerOf(app))
    .setAudience(signIn.clientId)
    .setIssuedAt(now)
    .setExpirationTime(now + seconds(LIFETIME_MS))
    .sign(await importJWK(jwk, ID_TOKEN_ALGORITHM))
}

/** Returns the private key with its id; all processes share it. */
async function signingJwk({ database }: Pick<App, 'database'>): Promise<JWK> {
  return JSON.parse(await serverSecret(database, SECRET_NAME, makeKey)) as JWK
}

async function makeKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS })
  const jwk = privateKey.export({ format: 'jwk' }) as JWK
  const { calculateJwkThumbprint } = await import('jose')
  return JSON.stringify({ ...jwk, kid: await calculateJwkThumbprint(jwk) })
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}
