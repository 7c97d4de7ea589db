import { canonicalJson } from '../json/canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { redact } from './redaction.ts'

/**
 * Returns the canonical JSON of the redacted event without `signatures` and `unsigned`: the input of signatures and the
 * reference hash, as UTF-8. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event
 */
export function essentialJson(version: RoomVersion, pdu: Pdu): string {
  const { signatures: _signatures, ...essential } = redact(version, pdu)
  return canonicalJson(essential, { strict: version.strictCanonicalJson })
}
