import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { MatrixError } from '../errors.ts'
import { decodeBase64 } from './base64.ts'
import { signableJson } from './sign-json.ts'

/** What node:crypto's `verify` takes, in its order after the algorithm (`null` for Ed25519). */
export type SignatureCheck = { data: Buffer; key: KeyObject; signature: Buffer }

/**
 * Whether a server signed an object with a key (its public part in Base64). False for anything malformed; never throws.
 * https://spec.matrix.org/v1.19/appendices/#checking-for-a-signature
 */
export function verifyJson(object: unknown, serverName: string, keyId: string, publicKey: string): boolean {
  const check = signatureCheck(object, serverName, keyId, publicKey)
  return check !== undefined && verify(null, check.data, check.key, check.signature)
}

/**
 * The check that `verifyJson` makes, for callers who hand many of them to the thread pool. `undefined` where it fails already: no such
 * signature, malformed Base64, or no canonical JSON.
 */
export function signatureCheck(
  object: unknown,
  serverName: string,
  keyId: string,
  publicKey: string,
): SignatureCheck | undefined {
  const encoded = property(property(property(object, 'signatures'), serverName), keyId)
  const signature = typeof encoded === 'string' ? decodeBase64(encoded) : undefined
  const key = publicKeyObject(publicKey)
  if (signature === undefined || key === undefined) return undefined
  try {
    return { data: Buffer.from(signableJson(object as object)), key, signature }
  } catch (error) {
    if (error instanceof MatrixError) return undefined
    throw error
  }
}

/** A public key (in Base64) for node:crypto; `undefined` if the Base64 does not hold 32 bytes. */
export function publicKeyObject(publicKey: string): KeyObject | undefined {
  const bytes = decodeBase64(publicKey)
  if (bytes?.length !== 32) return undefined
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' })
}

function property(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key)
    ? (object as Record<string, unknown>)[key]
    : undefined
}
