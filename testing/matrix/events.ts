import { createHash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'
import type { Event, EventId, JsonObject, Pdu, RoomId, ServerName, UserId } from './pdu.ts'
import { redact } from './redact.ts'
import { ROOM_VERSIONS, type RoomVersion } from './room-versions.ts'
import { type Signer, signableJson, signText, unpadded } from './signing.ts'

/** An event before it is hashed and signed. */
export type EventDraft = {
  /** Absent in `m.room.create` of room version 12 and later. */
  room_id?: RoomId
  type: string
  state_key?: string
  sender: UserId
  content: JsonObject
  origin_server_ts: number
  depth: number
  prev_events: readonly EventId[]
  auth_events: readonly EventId[]
  /** Of a redaction; goes to where the room version has it. */
  redacts?: EventId
  /** The sender's server, in the member events of handshakes. */
  origin?: ServerName
  /** By event id, the hashes beside it in `prev_events` and `auth_events` of room versions 1 and 2. */
  reference_hashes?: Readonly<Record<EventId, { sha256: string }>>
}

/**
 * Returns the hashed and signed event that a draft describes.
 * https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events
 */
export function buildEvent(version: RoomVersion, draft: EventDraft, signer: Signer): Event {
  const { auth_events, prev_events, redacts, reference_hashes: hashes = {}, content } = draft
  const isChosen = version.eventIds === 'chosen'
  const references = (ids: readonly EventId[]) => (isChosen ? ids.map((id) => [id, hashes[id] ?? {}]) : [...ids])
  const fields = {
    ...(draft.room_id !== undefined && { room_id: draft.room_id }),
    ...(draft.state_key !== undefined && { state_key: draft.state_key }),
    ...(draft.origin !== undefined && { origin: draft.origin }),
    ...(redacts !== undefined && !version.redactsInContent && { redacts }),
    type: draft.type,
    sender: draft.sender,
    content: redacts !== undefined && version.redactsInContent ? { ...content, redacts } : content,
    origin_server_ts: draft.origin_server_ts,
    depth: draft.depth,
    auth_events: references(auth_events),
    prev_events: references(prev_events),
  }
  const chosen = isChosen && {
    event_id: `$${sha256(canonicalJson(fields)).toString('base64url')}:${signer.serverName}`,
  }
  const unsigned = { ...fields, ...chosen } as unknown as Pdu
  return toEvent(version, hashAndSign(version, unsigned, signer))
}

/**
 * Returns an event with its content hash and a signature of its own in place of all others. Throws TypeError for an
 * event without canonical JSON.
 */
function hashAndSign(version: RoomVersion, pdu: Pdu, { serverName, keyId, privateKey }: Signer): Pdu {
  const hashed = { ...pdu, hashes: { sha256: contentHash(pdu) } }
  const signature = signText(signableJson(redact(version, hashed)), privateKey)
  return { ...hashed, signatures: { [serverName]: { [keyId]: signature } } }
}

/** Hashes and signs an event as far as possible; an object without canonical JSON is returned unchanged. */
export function signAnything(pdu: object, roomVersion: string, signer: Signer): object {
  try {
    return hashAndSign(ROOM_VERSIONS.get(roomVersion)!, pdu as Pdu, signer)
  } catch {
    return pdu
  }
}

/** Returns a hashed event with one more signature. */
export function signEvent(version: RoomVersion, pdu: Pdu, { serverName, keyId, privateKey }: Signer): Pdu {
  const signature = signText(signableJson(redact(version, pdu)), privateKey)
  const ours = { ...pdu.signatures[serverName], [keyId]: signature }
  return { ...pdu, signatures: { ...pdu.signatures, [serverName]: ours } }
}

/** Returns a PDU with what follows from it. Throws TypeError when it has no canonical JSON or no room. */
export function toEvent(version: RoomVersion, pdu: Pdu, known: { event_id?: EventId } = {}): Event {
  const event_id = known.event_id ?? eventIdOf(version, pdu)
  const isNamesake = version.roomIdIsCreateHash && pdu.type === 'm.room.create' && pdu.state_key === ''
  const room_id = isNamesake ? (`!${event_id.slice(1)}` as RoomId) : pdu.room_id
  if (room_id === undefined) throw new TypeError('The event has no room id')
  return { event_id, room_id, pdu, auth_event_ids: idsOf(pdu.auth_events), prev_event_ids: idsOf(pdu.prev_events) }
}

/** Returns the id of an event. https://spec.matrix.org/v1.19/rooms/v4/#event-ids */
export function eventIdOf(version: RoomVersion, pdu: Pdu): EventId {
  if (version.eventIds === 'chosen') return pdu.event_id as EventId
  const { signatures: _signatures, ...rest } = redact(version, pdu)
  const hash = sha256(canonicalJson(rest, { isStrict: version.number >= 6 }))
  return `$${version.eventIds === 'Base64' ? unpadded(hash) : hash.toString('base64url')}` as EventId
}

/** https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event */
function contentHash(pdu: Pdu): string {
  const { hashes: _hashes, signatures: _signatures, unsigned: _unsigned, ...rest } = pdu
  return unpadded(sha256(canonicalJson(rest)))
}

function idsOf(references: Pdu['prev_events']): EventId[] {
  return references.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
