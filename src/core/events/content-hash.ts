import { hash } from 'node:crypto'
import { type CanonicalJsonOptions, canonicalJson } from '../json/canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import { decodeBase64, encodeBase64 } from '../text/base64.ts'

/**
 * The SHA-256, in unpadded Base64, of the whole event before redaction, `hashes`, `signatures` and `unsigned` excepted.
 * Throws BadJsonError. https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event
 */
export function contentHash(pdu: Pdu): string {
  return encodeBase64(digest(hashedJson(pdu)))
}

/**
 * Whether the content hash matches. If not, only the redacted form of the event can be trusted. `hashed`: its
 * `hashedJson`, if already computed. Throws BadJsonError.
 */
export function hasMatchingContentHash(pdu: Pdu, hashed = hashedJson(pdu)): boolean {
  const { sha256 } = pdu.hashes
  if (hash('sha256', hashed, 'base64') === `${sha256}=`) return true
  // Compares bytes, because Base64 may be padded and its last character has several forms.
  return decodeBase64(sha256)?.equals(digest(hashed)) ?? false
}

/**
 * Returns the canonical JSON that the content hash covers. `parsePdu` checks number ranges, unless `options` require it
 * here. Throws BadJsonError.
 */
export function hashedJson(pdu: Pdu, options: CanonicalJsonOptions = { strict: false }): string {
  const { hashes: _hashes, signatures: _signatures, unsigned: _unsigned, ...hashed } = pdu
  return canonicalJson(hashed, options)
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
