import { hash } from 'node:crypto'
import { BadJsonError } from '../errors.ts'
import type { EventId, RoomId, ServerName, UserId } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import type { Event, JsonObject, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { type PrivateSigningKey, signText } from '../signing/sign-json.ts'
import { encodeBase64, encodeBase64Url } from '../text/base64.ts'
import { essentialJson } from './essential-json.ts'
import { hashedEventId } from './reference-hash.ts'
import { checkFieldSizes, checkTotalSize } from './size-limits.ts'
import { STICKY } from './sticky.ts'
import { namesItsRoom, toEvent } from './to-event.ts'

/** An event before hashing and signing. */
export type EventDraft = {
  /** Left out of `m.room.create` in room version 12 and later. */
  room_id?: RoomId
  type: string
  state_key?: string
  sender: UserId
  content: JsonObject
  /** Milliseconds since the epoch. */
  origin_server_ts: number
  depth: number
  prev_events: readonly EventId[]
  auth_events: readonly EventId[]
  /** The target of a redaction; stored where the room version expects it. */
  redacts?: EventId
  /** The sender's server, for membership events in requests between servers that require it. */
  origin?: ServerName
  /** How long the event is sticky, in milliseconds. */
  sticky_ms?: number
  /** Hashes by event id, to add in `prev_events` and `auth_events` of room versions 1 and 2. */
  reference_hashes?: Readonly<Record<EventId, { sha256: string }>>
}

/** This server's name and key. */
export type Signer = PrivateSigningKey & { serverName: ServerName }

/**
 * Builds the hashed and signed event of a draft. Serialises the content once for the content hash, and the redacted
 * event once for signature and event id. Throws BadJsonError for content without canonical JSON, and TooLargeError for
 * an event above the size limits.
 * https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events
 */
export function buildEvent(version: RoomVersion, draft: EventDraft, signer: Signer): Event {
  const fields = unsignedFields(version, draft, signer.serverName)
  checkFieldSizes(fields)
  const text = canonicalJson(fields, { strict: version.strictCanonicalJson })
  const pdu: Pdu = { ...fields, hashes: { sha256: encodeBase64(sha256(text)) }, signatures: {} }
  const essential = essentialJson(version, pdu)
  pdu.signatures = { [signer.serverName]: { [signer.keyId]: signText(essential, signer.privateKey) } }
  checkTotalSize(Buffer.byteLength(text) + addedBytes(pdu))
  return toEvent(version, pdu, { event_id: fields.event_id ?? hashedEventId(version, essential) })
}

type UnsignedFields = Omit<Pdu, 'hashes' | 'signatures' | 'event_id'> & { event_id?: EventId }

function unsignedFields(version: RoomVersion, draft: EventDraft, serverName: ServerName): UnsignedFields {
  const { room_id: roomId, state_key: stateKey, redacts, origin, sticky_ms: sticky } = draft
  const fields: UnsignedFields = {
    auth_events: references(version, draft, draft.auth_events),
    content: redacts !== undefined && version.redactsInContent ? { ...draft.content, redacts } : draft.content,
    depth: draft.depth,
    ...(sticky !== undefined && { [STICKY]: { duration_ms: sticky } }),
    ...(origin !== undefined && { origin }),
    origin_server_ts: draft.origin_server_ts,
    prev_events: references(version, draft, draft.prev_events),
    ...(redacts !== undefined && !version.redactsInContent && { redacts }),
    ...(roomId !== undefined && { room_id: roomId }),
    sender: draft.sender,
    ...(stateKey !== undefined && { state_key: stateKey }),
    type: draft.type,
  }
  if ((roomId === undefined) !== namesItsRoom(version, draft))
    throw new BadJsonError('room_id: not of this room version')
  return version.eventIdFormat === 'server-chosen' ? withChosenEventId(fields, serverName) : fields
}

/** In room versions 1 and 2 an event id may be any new one; a hash of the event is new and needs no randomness. */
function withChosenEventId(fields: UnsignedFields, serverName: ServerName): UnsignedFields {
  const opaqueId = encodeBase64Url(sha256(canonicalJson(fields, { strict: false })))
  return { ...fields, event_id: `$${opaqueId}:${serverName}` as EventId }
}

function references(version: RoomVersion, draft: EventDraft, eventIds: readonly EventId[]): Pdu['prev_events'] {
  if (version.eventIdFormat !== 'server-chosen') return [...eventIds]
  return eventIds.map((id) => [id, draft.reference_hashes?.[id] ?? {}])
}

/** Bytes that hashes and signatures, which are ASCII, add to the canonical JSON of the event. */
function addedBytes({ hashes, signatures }: Pdu): number {
  // Joining two objects removes two braces and adds a comma.
  return JSON.stringify({ hashes, signatures }).length - 1
}

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
