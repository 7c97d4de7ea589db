import { canonicalJson } from '../json/canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { redact } from './redaction.ts'

/**
 * The canonical JSON of the essential part of an event: redacted, without `signatures` and `unsigned`. Its UTF-8 bytes are what servers
 * sign, and what the reference hash is of. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event
 */
export function essentialJson(version: RoomVersion, pdu: Pdu): string {
  const { signatures: _signatures, ...essential } = redact(version, pdu)
  return canonicalJson(essential, { strict: version.strictCanonicalJson })
}
