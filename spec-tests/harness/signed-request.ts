import { type Dispatcher, request } from 'undici'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { Signer } from '../../src/core/events/build-event.ts'
import type { ServerName } from '../../src/core/ids.ts'
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

/** Sends a request signed by a server; answers of every status come back. */
export async function sendSigned(
  { dispatcher, signer }: Asker,
  asked: Asked,
  { method, path, body }: PeerRequest,
  forgery?: Forgery,
) {
  const { serverName: origin, keyId, privateKey } = signer
  const destination = (forgery === 'for another server' ? 'elsewhere.test' : asked.serverName) as ServerName
  const text = requestText({ method, uri: path, origin, destination, content: canonicalOf(body) })
  const authorization = formatXMatrix({ origin, destination, keyId, signature: signText(text, privateKey) })
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
