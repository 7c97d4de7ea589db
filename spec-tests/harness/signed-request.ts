import { type Dispatcher, request } from 'undici'
import type { Signer } from '../../src/core/events/build-event.ts'
import type { ServerName } from '../../src/core/ids.ts'
import { canonicalJson } from '../../src/core/json/canonical-json.ts'
import { signText } from '../../src/core/signing/sign-json.ts'
import { formatXMatrix, requestText } from '../../src/core/signing/x-matrix.ts'

/** A request as it goes over the wire; `body` need not be JSON. */
export type PeerRequest = { method: string; path: string; body?: string | Buffer | undefined }

/** How a request is signed other than rightly. */
export type Forgery = 'unsigned' | 'with another key' | 'for another server'

/** The server that a peer asks. */
export type Asked = { serverName: string; federationPort: number | undefined }

/** The server that asks, and its connections. */
type Asker = { dispatcher: Dispatcher; signer: Signer }

/** The header by which a server signs a request. */
export function signedHeader(
  { serverName: origin, keyId, privateKey }: Signer,
  destination: string,
  { method, path, body }: PeerRequest,
): string {
  const to = { origin, destination: destination as ServerName }
  const text = requestText({ ...to, method, uri: path, content: canonicalOf(body) })
  return formatXMatrix({ ...to, keyId, signature: signText(text, privateKey) })
}

/** Sends a request signed by a server; answers of every status come back. */
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

/** The part of a request that its signature covers; undefined where a body is nothing that could be signed. */
function canonicalOf(body: string | Buffer | undefined): string | undefined {
  try {
    return body === undefined ? undefined : canonicalJson(JSON.parse(body.toString()), { strict: false })
  } catch {
    return undefined
  }
}
