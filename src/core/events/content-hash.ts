import { hash } from 'node:crypto'
import { type CanonicalJsonOptions, canonicalJson } from '../json/canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import { decodeBase64, encodeBase64 } from '../text/base64.ts'

/**
 * The SHA-256, in unpadded Base64, of the whole event before redaction, `hashes`, `signatures` and `unsigned` excepted. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event
 */
export function contentHash(pdu: Pdu): string {
  return encodeBase64(digest(hashedJson(pdu)))
}

/**
 * Whether the event has the content that it was hashed with; if not, only its redacted form is to be trusted. `hashed`: its `hashedJson`, where it is at
 * hand. Throws BadJsonError.
 */
export function hasMatchingContentHash(pdu: Pdu, hashed = hashedJson(pdu)): boolean {
  const { sha256 } = pdu.hashes
  if (hash('sha256', hashed, 'base64') === `${sha256}=`) return true
  // Compared as bytes, because Base64 may be padded, and has more than one way to write the last of them.
  return decodeBase64(sha256)?.equals(digest(hashed)) ?? false
}

/** The canonical JSON that an event's content hash is of. Whether numbers are in range is for `parsePdu` to say, unless `options` do. Throws BadJsonError. */
export function hashedJson(pdu: Pdu, options: CanonicalJsonOptions = { strict: false }): string {
  const { hashes: _hashes, signatures: _signatures, unsigned: _unsigned, ...hashed } = pdu
  return canonicalJson(hashed, options)
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
