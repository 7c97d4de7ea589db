import { type Dispatcher, request } from 'undici'
import { MatrixError } from '../../core/errors.ts'
import type { Logger } from '../logger.ts'
import { readBounded } from './read-bounded.ts'

/** A request to an identity server that a client named, with the client's token for it. */
export type IdentityRequest = {
  /** Host name and optional port. */
  server: string
  accessToken: string
  method: 'GET' | 'POST'
  /** From `/_matrix/identity/…`. */
  path: string
  body?: object
}

/** Sends requests to identity servers: https://spec.matrix.org/v1.19/identity-service-api/ */
export type IdentityClient = {
  /** Returns the JSON response, unvalidated. Throws the server's refusal, and 502 if there is no response. */
  request(request: IdentityRequest): Promise<unknown>
}

const TIMEOUT_MS = 20_000
const MAX_BYTES = 256 * 1024

/** `dispatcher`: connections that reach only public addresses, unless the configuration allows others. */
export function createIdentityClient(dispatcher: Dispatcher, logger: Pick<Logger, 'debug'>): IdentityClient {
  return {
    async request({ server, accessToken, method, path, body }) {
      const { status, json } = await send().catch((error: unknown) => {
        logger.debug({ err: error, server }, 'request to identity server failed')
        // The same message for all reasons, as for servers.
        throw new MatrixError(502, 'M_UNKNOWN', `The identity server ${server} cannot be reached`)
      })
      if (status >= 200 && status < 300) return json
      const { errcode, error } = (json ?? {}) as { errcode?: unknown; error?: unknown }
      const known = status >= 400 && status < 500 && typeof errcode === 'string' && /^[A-Z0-9_.]{1,255}$/.test(errcode)
      const message = `The identity server ${server} responded with ${status}: ${String(error ?? 'no reason')}`
      throw known ? new MatrixError(403, errcode, message) : new MatrixError(502, 'M_UNKNOWN', message)

      async function send(): Promise<{ status: number; json: unknown }> {
        const answer = await request(`https://${server}${path}`, {
          dispatcher,
          method,
          headers: { authorization: `Bearer ${accessToken}`, ...(body && { 'content-type': 'application/json' }) },
          ...(body && { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
        const text = (await readBounded(answer.body, MAX_BYTES)).toString()
        return { status: answer.statusCode, json: text === '' ? undefined : JSON.parse(text) }
      }
    },
  }
}
