import { type Dispatcher, request } from 'undici'
import type { Signer } from '../../src/core/events/build-event.ts'
import type { ServerName } from '../../src/core/ids.ts'
import { canonicalJson } from '../../src/core/json/canonical-json.ts'
import { signText } from '../../src/core/signing/sign-json.ts'
import { formatXMatrix, requestText } from '../../src/core/signing/x-matrix.ts'

/** A request as transmitted; `body` need not be JSON. */
export type PeerRequest = { method: string; path: string; body?: string | Buffer | undefined }

/** A wrong way to sign a request. */
export type Forgery = 'unsigned' | 'with another key' | 'for another server'

/** The server to which a peer sends requests. */
export type Asked = { serverName: string; federationPort: number | undefined }

/** The requesting server, and its connections. */
type Asker = { dispatcher: Dispatcher; signer: Signer }

/** Returns the header that signs a server's request. */
export function signedHeader(
  { serverName: origin, keyId, privateKey }: Signer,
  destination: string,
  { method, path, body }: PeerRequest,
): string {
  const to = { origin, destination: destination as ServerName }
  const text = requestText({ ...to, method, uri: path, content: canonicalOf(body) })
  return formatXMatrix({ ...to, keyId, signature: signText(text, privateKey) })
}

/** Sends a signed request; returns responses of every status. */
export async function sendSigned(
  { dispatcher, signer }: Asker,
  asked: Asked,
  { method, path, body }: PeerRequest,
  forgery?: Forgery,
) {
  const destination = forgery === 'for another server' ? 'elsewhere.test' : asked.serverName
  const authorization = signedHeader(signer, destination, { method, path, body })
  const answer = await request(`https://localhost:${asked.federationPort}${path}`, {
    dispatcher,
    method: method as Dispatcher.HttpMethod,
    headers: forgery === 'unsigned' ? {} : { authorization },
    ...(body !== undefined && { body }),
  })
  return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers }
}

/** Returns the signed part of a request; undefined for a body that cannot be signed. */
function canonicalOf(body: string | Buffer | undefined): string | undefined {
  try {
    return body === undefined ? undefined : canonicalJson(JSON.parse(body.toString()), { strict: false })
  } catch {
    return undefined
  }
}
