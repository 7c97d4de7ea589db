import { type Dispatcher, request } from 'undici'
import { type Signer, signedHeader } from '../../testing/matrix/signing.ts'

/** A request as transmitted; `body` need not be JSON. */
export type PeerRequest = { method: string; path: string; body?: string | Buffer | undefined }

/** A wrong way to sign a request. */
export type Forgery = 'unsigned' | 'with another key' | 'for another server'

/** The server to which a peer sends requests. */
export type Asked = { serverName: string; federationPort: number | undefined }

/** The requesting server, and its connections. */
type Asker = { dispatcher: Dispatcher; signer: Signer }

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
