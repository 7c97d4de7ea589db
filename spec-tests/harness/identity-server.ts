import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestFederation } from './federation.ts'

/** A request to the identity server. */
export type IdentityCall = { method: string; path: string; token: string | undefined; body: Record<string, unknown> }

/** An identity server with the bindings that a test sets. */
export type TestIdentityServer = {
  /** `localhost:PORT` */
  name: string
  calls: IdentityCall[]
  /** Users by the SHA-256 hash in unpadded URL-safe Base64 of the look-up; null: the server reports no binding. */
  bound: Map<string, string | null>
  /**
   * Signs the binding of an invited address:
   * https://spec.matrix.org/v1.19/identity-service-api/#invitation-storage
   */
  sign(mxid: string, token: string): object
}

export const PEPPER = 'pepper'

/**
 * Starts an identity server that the servers of a federation trust; it stops with them. Every invite gets the token
 * `token-N`.
 */
export async function startIdentityServer(federation: TestFederation): Promise<TestIdentityServer> {
  const calls: IdentityCall[] = []
  const bound = new Map<string, string | null>()
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')
    .toString('base64')
    .replaceAll('=', '')
  const { certificate, key: tlsKey } = federation.authority.issue('localhost')
  const server = createServer({ cert: readFileSync(certificate), key: readFileSync(tlsKey) }, (request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      const call = {
        method: request.method!,
        path: request.url!,
        token: request.headers.authorization,
        body: parse(text),
      }
      calls.push(call)
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify(answerTo(call)))
    })
  })

  function answerTo({ path, body }: IdentityCall): object {
    if (path.endsWith('/hash_details')) return { lookup_pepper: PEPPER, algorithms: ['sha256'] }
    if (path.endsWith('/lookup')) {
      const hashes = (body.addresses as string[]).filter((hash) => bound.has(hash))
      return { mappings: Object.fromEntries(hashes.map((hash) => [hash, bound.get(hash)])) }
    }
    const number = calls.filter((call) => call.path.endsWith('/store-invite')).length
    const validity = 'https://identity.example.org/_matrix/identity/v2/pubkey/isvalid'
    return {
      token: `token-${number}`,
      display_name: 'b...@e...',
      public_keys: [{ public_key: key, key_validity_url: validity }],
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  federation.onDispose(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const name = `localhost:${(server.address() as AddressInfo).port}`
  return { name, calls, bound, sign: (mxid, token) => signed(privateKey, name, { mxid, token }) }
}

function signed(key: KeyObject, name: string, { mxid, token }: { mxid: string; token: string }): object {
  // Canonical JSON, since the keys are in order.
  const signature = sign(null, Buffer.from(JSON.stringify({ mxid, token })), key)
  return { mxid, token, signatures: { [name]: { 'ed25519:0': signature.toString('base64').replaceAll('=', '') } } }
}

function parse(text: string): Record<string, unknown> {
  return text === '' ? {} : JSON.parse(text)
}
