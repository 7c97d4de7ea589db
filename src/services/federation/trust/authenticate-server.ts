import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { ServerName } from '../../../core/ids.ts'
import { isSignedBy } from '../../../core/signing/ed25519.ts'
import { parseXMatrix, requestText, type XMatrixCredentials } from '../../../core/signing/x-matrix.ts'
import { decodeBase64 } from '../../../core/text/base64.ts'

/** The authenticated server of a request. */
export type ServerSession = { origin: ServerName }

/** Maximum number of keys per request. */
const MAX_KEYS = 8

/**
 * Parses the Authorization headers of a request, without verifying them. Throws 401 M_UNAUTHORIZED if there are none,
 * or the request is for another server.
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 */
export function readCredentials(
  app: Pick<App, 'serverName'>,
  headers: readonly string[],
): [XMatrixCredentials, ...XMatrixCredentials[]] {
  const [first, ...more] = headers.flatMap((header) => parseXMatrix(header) ?? [])
  if (!first) throw unauthorized('The request is not signed by a server')
  const others = more.slice(0, MAX_KEYS - 1)
  if (others.some(({ origin }) => origin !== first.origin))
    throw unauthorized('The request has signatures of several servers')
  for (const { destination } of [first, ...others]) {
    if (destination !== undefined && destination !== app.serverName) {
      throw unauthorized(`The request is for ${destination}, this is ${app.serverName}`)
    }
  }
  return [first, ...others]
}

/** A claimed origin server, and its key. */
export type Claim = XMatrixCredentials & { key: Buffer }

/**
 * Returns the claims whose keys are known or can be fetched. To be called before the request's body is read. `network`:
 * the rate-limit key of the client, or of the claimed origin if the network is unknown. Throws 401 M_UNAUTHORIZED, and
 * M_LIMIT_EXCEEDED while too many requests wait for keys.
 */
export async function findClaims(
  app: Pick<App, 'serverName' | 'keyRing' | 'clock'>,
  credentials: readonly [XMatrixCredentials, ...XMatrixCredentials[]],
  network: string,
): Promise<Claim[]> {
  const validAt = app.clock.now()
  const wanted = credentials.map(({ origin, keyId }) => ({ serverName: origin, keyId, validAt, usedFrom: network }))
  const keys = await app.keyRing.find(wanted)
  const claims = credentials.flatMap((each, place) => {
    const key = keys[place]
    return key && each.origin !== app.serverName ? [{ ...each, key }] : []
  })
  const [{ origin, keyId }] = credentials
  if (claims.length === 0) throw unauthorized(`Unknown key ${keyId} of ${origin}`)
  return claims
}

/**
 * Returns the origin once one of the signatures is verified. `content`: canonical JSON of the body. Throws 401
 * M_UNAUTHORIZED.
 */
export function authenticateServer(
  app: Pick<App, 'serverName'>,
  claims: readonly Claim[],
  request: { method: string; uri: string; content: string | undefined },
): ServerSession {
  for (const { origin, signature, key } of claims) {
    const text = requestText({ ...request, origin, destination: app.serverName })
    if (isSigned(text, signature, key)) return { origin }
  }
  throw unauthorized(`The signature is not of ${claims[0]?.origin}`)
}

function isSigned(text: string, signature: string, key: Buffer): boolean {
  const bytes = decodeBase64(signature)
  return bytes !== undefined && isSignedBy(key, Buffer.from(text), bytes)
}

function unauthorized(message: string): MatrixError {
  return new MatrixError(401, 'M_UNAUTHORIZED', message)
}
