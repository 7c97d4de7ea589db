import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'
import type { ServerName } from './pdu.ts'

/** A server's Ed25519 key. `publicKey` is unpadded Base64. */
export type SigningKey = { keyId: `ed25519:${string}`; privateKey: KeyObject; publicKey: string }
export type Signer = { serverName: ServerName; keyId: string; privateKey: KeyObject }

/** The PKCS#8 prefix of a 32-byte private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Returns the key that 32 bytes give, as `ed25519:<version>`. https://spec.matrix.org/v1.19/appendices/#signing-details
 */
export function signingKeyFromSeed(version: string, seed: Uint8Array): SigningKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  return { keyId: `ed25519:${version}`, privateKey, publicKey: unpadded(Buffer.from(x!, 'base64url')) }
}

/** Returns an object with a server's signature added. https://spec.matrix.org/v1.19/appendices/#signing-json */
export function signJson<T extends object>(object: T, serverName: string, key: Omit<Signer, 'serverName'>) {
  const { signatures } = object as { signatures?: Record<string, Record<string, string>> }
  const ours = { ...signatures?.[serverName], [key.keyId]: signText(signableJson(object), key.privateKey) }
  return { ...object, signatures: { ...signatures, [serverName]: ours } }
}

/** Returns the canonical JSON that a signature of an object covers. */
export function signableJson(object: object): string {
  const { signatures: _signatures, unsigned: _unsigned, ...signed } = object as Record<string, unknown>
  return canonicalJson(signed)
}

/**
 * Returns the signature of a text in unpadded Base64. Node's Ed25519, because `tweetnacl` takes a hundred times as
 * long.
 */
export function signText(text: string, privateKey: KeyObject): string {
  return unpadded(sign(null, Buffer.from(text), privateKey))
}

export function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

type Request = { method: string; path: string; body?: string | Buffer | undefined }

/** Returns the header that signs a request: https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
export function signedHeader({ serverName, keyId, privateKey }: Signer, destination: string, request: Request): string {
  const { method, path: uri, body } = request
  const content = jsonOf(body)
  const signed = { method, uri, origin: serverName, destination, ...(content !== undefined && { content }) }
  const signature = signText(canonicalJson(signed), privateKey)
  return `X-Matrix origin="${serverName}",destination="${destination}",key="${keyId}",sig="${signature}"`
}

/** Returns what a body says; undefined for a body that cannot be signed. */
function jsonOf(body: string | Buffer | undefined): unknown {
  try {
    const json = body === undefined ? undefined : JSON.parse(body.toString())
    canonicalJson({ content: json })
    return json
  } catch {
    return undefined
  }
}
