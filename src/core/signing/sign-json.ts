import { type KeyObject, sign } from 'node:crypto'
import type { ServerName } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import { encodeBase64 } from '../text/base64.ts'

/** What signing takes of a `SigningKey`. */
export type PrivateSigningKey = { keyId: string; privateKey: KeyObject }

/** By the name of the signer and the signing key identifier: signatures in unpadded Base64. */
export type Signatures = Record<string, Record<string, string>>

/**
 * A copy of an object with our signature beside those that it has. `signatures` and `unsigned` are not covered. Numbers beyond canonical
 * JSON are let through, because requests carry the events of old rooms. Throws BadJsonError for what has no canonical JSON at all.
 * https://spec.matrix.org/v1.19/appendices/#signing-details
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

/** The canonical JSON that a signature on an object covers. Throws BadJsonError. */
export function signableJson(object: object): string {
  const { signatures: _signatures, unsigned: _unsigned, ...signed } = object as Record<string, unknown>
  return canonicalJson(signed, { strict: false })
}

/** The Ed25519 signature of a text's UTF-8 bytes, in unpadded Base64. */
export function signText(text: string, privateKey: KeyObject): string {
  return encodeBase64(sign(null, Buffer.from(text), privateKey))
}

/** Signatures with one more among them; the given ones stay as they are. */
export function addSignature(
  signatures: Signatures | undefined,
  serverName: ServerName,
  keyId: string,
  signature: string,
): Signatures {
  return { ...signatures, [serverName]: { ...signatures?.[serverName], [keyId]: signature } }
}
