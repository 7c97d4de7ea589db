import { type KeyObject, sign } from 'node:crypto'
import type { ServerName } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import { encodeBase64 } from '../text/base64.ts'

/** The parts of a `SigningKey` that signing needs. */
export type PrivateSigningKey = { keyId: string; privateKey: KeyObject }

/** Signatures in unpadded Base64, by server name and signing key identifier. */
export type Signatures = Record<string, Record<string, string>>

/**
 * Returns a copy of an object with this server's signature added. `signatures` and `unsigned` are not covered. Accepts
 * numbers beyond canonical JSON, because requests carry events of old rooms. Throws BadJsonError for an object without
 * canonical JSON. https://spec.matrix.org/v1.19/appendices/#signing-details
 */
export function signJson<T extends object>(
  object: T,
  serverName: ServerName,
  key: PrivateSigningKey,
): T & { signatures: Signatures } {
  const { signatures } = object as { signatures?: Signatures }
  const signature = signText(signableJson(object), key.privateKey)
  return { ...object, signatures: addSignature(signatures, serverName, key.keyId, signature) }
}

/** Returns the canonical JSON that a signature of an object covers. Throws BadJsonError. */
export function signableJson(object: object): string {
  const { signatures: _signatures, unsigned: _unsigned, ...signed } = object as Record<string, unknown>
  return canonicalJson(signed, { strict: false })
}

/** Returns the Ed25519 signature of a text's UTF-8 bytes, in unpadded Base64. */
export function signText(text: string, privateKey: KeyObject): string {
  return encodeBase64(sign(null, Buffer.from(text), privateKey))
}

/** Returns signatures with one added; the input stays unchanged. */
export function addSignature(
  signatures: Signatures | undefined,
  serverName: ServerName,
  keyId: string,
  signature: string,
): Signatures {
  return { ...signatures, [serverName]: { ...signatures?.[serverName], [keyId]: signature } }
}
