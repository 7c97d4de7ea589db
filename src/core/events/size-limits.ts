import { TooLargeError } from '../errors.ts'
import { isWithin255Bytes } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { hashedJson } from './content-hash.ts'

/** The maximum canonical JSON of an event in bytes, signatures included. */
const MAX_EVENT_BYTES = 65_536

const LIMITED_FIELDS = ['type', 'state_key', 'sender', 'room_id', 'event_id'] as const

/**
 * Throws TooLargeError if the event, or one of its ids, its type or its state key, is too long. `hashed`: its
 * `hashedJson`, if already computed. https://spec.matrix.org/v1.19/client-server-api/#size-limits
 */
export function checkEventSize(version: RoomVersion, pdu: Pdu, hashed?: string): void {
  if (version.limitsFieldsInBytes) checkFieldSizes(pdu)
  else checkFieldLengths(pdu)
  const { hashes, signatures, unsigned } = pdu
  const strict = { strict: version.strictCanonicalJson }
  const others = canonicalJson({ hashes, signatures, unsigned }, strict)
  // Merging two objects removes one brace of each and adds a comma.
  checkTotalSize(Buffer.byteLength(hashed ?? hashedJson(pdu, strict)) + Buffer.byteLength(others) - 1)
}

/** Throws TooLargeError if one of the fields has more than 255 bytes. */
export function checkFieldSizes(event: Partial<Pick<Pdu, (typeof LIMITED_FIELDS)[number]>>): void {
  for (const field of LIMITED_FIELDS) {
    const value = event[field]
    if (value !== undefined && !isWithin255Bytes(value)) throw new TooLargeError(`${field} exceeds 255 bytes`)
  }
}

/** Before room version 11, servers accepted 255 code points in remote events, which may be more bytes. */
function checkFieldLengths(pdu: Pdu): void {
  for (const field of LIMITED_FIELDS) {
    const value = pdu[field]
    if (value !== undefined && !isWithin255Bytes(value) && [...value].length > 255)
      throw new TooLargeError(`${field} exceeds 255 characters`)
  }
}

/** Throws TooLargeError if this size in bytes of canonical JSON is over the limit. */
export function checkTotalSize(bytes: number): void {
  if (bytes > MAX_EVENT_BYTES) throw new TooLargeError(`The event exceeds ${MAX_EVENT_BYTES} bytes`)
}
