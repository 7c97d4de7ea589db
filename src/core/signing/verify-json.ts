import { MatrixError } from '../errors.ts'
import { decodeBase64 } from '../text/base64.ts'
import { isSignedBy, PUBLIC_KEY_BYTES } from './ed25519.ts'
import { signableJson } from './sign-json.ts'

/**
 * Verifies a server's signature of an object with a public key in Base64. Returns false for malformed input; never
 * throws. https://spec.matrix.org/v1.19/appendices/#checking-for-a-signature
 */
export function verifyJson(object: unknown, serverName: string, keyId: string, publicKey: string): boolean {
  const encoded = property(property(property(object, 'signatures'), serverName), keyId)
  const signature = typeof encoded === 'string' ? decodeBase64(encoded) : undefined
  const key = publicKeyBytes(publicKey)
  if (signature === undefined || key === undefined) return false
  try {
    return isSignedBy(key, Buffer.from(signableJson(object as object)), signature)
  } catch (error) {
    if (error instanceof MatrixError) return false
    throw error
  }
}

/** Decodes a public key from Base64; `undefined` if it has not 32 bytes. */
export function publicKeyBytes(publicKey: string): Buffer | undefined {
  const bytes = decodeBase64(publicKey)
  return bytes?.length === PUBLIC_KEY_BYTES ? bytes : undefined
}

function property(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key)
    ? (object as Record<string, unknown>)[key]
    : undefined
}
