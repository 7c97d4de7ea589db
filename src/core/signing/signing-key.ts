import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { InvalidParamError } from '../errors.ts'
import { decodeBase64, encodeBase64 } from '../text/base64.ts'

/** A signing key of this server. */
export type SigningKey = {
  /** The signing key identifier, `ed25519:` and the key's version. */
  keyId: `ed25519:${string}`
  privateKey: KeyObject
  /** 32 bytes in unpadded Base64, as servers publish it. */
  publicKey: string
}

/** The PKCS#8 prefix of the 32 bytes of an Ed25519 private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Derives an Ed25519 key from 32 random bytes. The version (`a-z`, `A-Z`, `0-9`, `_`) distinguishes it from the
 * server's other keys. Throws InvalidParamError for an invalid version or seed.
 * https://spec.matrix.org/v1.19/appendices/#signing-details
 */
export function signingKeyFromSeed(keyVersion: string, seed: Uint8Array): SigningKey {
  if (!/^[a-zA-Z0-9_]+$/.test(keyVersion)) throw new InvalidParamError('A signing key has a malformed version')
  if (seed.length !== 32) throw new InvalidParamError('A signing key needs a seed of 32 bytes')
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = encodeBase64(rawKey(createPublicKey(privateKey), 'x'))
  return { keyId: `ed25519:${keyVersion}`, privateKey, publicKey }
}

/**
 * Parses `ed25519 <version> <seed in Base64>`, the format of Synapse's `signing.key` file. Throws InvalidParamError.
 */
export function parseSigningKey(text: string): SigningKey {
  const [algorithm, keyVersion, encodedSeed, ...rest] = text.trim().split(/\s+/)
  const seed = encodedSeed === undefined ? undefined : decodeBase64(encodedSeed)
  if (algorithm !== 'ed25519' || keyVersion === undefined || seed === undefined || rest.length > 0) {
    throw new InvalidParamError('A signing key must read `ed25519 <version> <seed in Base64>`')
  }
  return signingKeyFromSeed(keyVersion, seed)
}

/** Formats a key for `parseSigningKey`, with a final newline. The text contains the secret. */
export function formatSigningKey(key: SigningKey): string {
  return `${key.keyId.replace(':', ' ')} ${encodeBase64(rawKey(key.privateKey, 'd'))}\n`
}

/** Returns the bytes of a key: `x` for the public part, `d` for the secret seed. */
function rawKey(key: KeyObject, part: 'x' | 'd'): Buffer {
  return Buffer.from(key.export({ format: 'jwk' })[part] as string, 'base64url')
}
