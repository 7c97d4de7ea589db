import type { App } from '../../app.ts'
import { authEventKeys } from '../../core/auth-rules/auth-event-keys.ts'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import { ruleNumbers } from '../../core/auth-rules/rule-numbers.ts'
import { BadJsonError, ForbiddenError, type MatrixError } from '../../core/errors.ts'
import { buildEvent, type EventDraft } from '../../core/events/build-event.ts'
import type { JsonObject, StateKey } from '../../core/events/pdu.ts'
import { referenceHash } from '../../core/events/reference-hash.ts'
import type { DeviceId, EventId, RoomId, UserId } from '../../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../core/room-versions.ts'
import { encodeBase64 } from '../../core/signing/base64.ts'
import { loadEventsById } from '../../storage/events.ts'
import { type AppendedEvent, type LockedRoom, type RoomHead, readLockedState } from '../../storage/locked-room.ts'
import { changeState } from '../../storage/room-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { applyRedaction } from './apply-redaction.ts'
import { followUpgrade } from './follow-upgrade.ts'

/** An event that one of our users sends. */
export type NewEvent = {
  type: string
  /** Present: a state event. */
  state_key?: string
  sender: UserId
  content: JsonObject
  /** The event that a redaction empties; its place in the PDU depends on the room version. */
  redacts?: EventId
  /** Whether the sender redacts as a server administrator: also what others of this server sent. */
  asAdmin?: boolean
  /** Milliseconds since the epoch; default: now. Only application services may set it. */
  origin_server_ts?: number
  /** The client's transaction. */
  txn?: { deviceId: DeviceId; id: string }
}

type AppendCapabilities = Pick<App, 'clock' | 'signingKey' | 'serverName' | 'takeNids'>

/** The most events that one event names as its predecessors; the specification's upper bound is 20. */
const MAX_PREV_EVENTS = 20

/**
 * Makes the next event of a room: selects its auth events, checks the authorisation rules, signs it and advances the room's head and state.
 * It is stored when the command that holds `room` ends well. Throws M_FORBIDDEN when the rules refuse it, M_BAD_JSON when they cannot read it,
 * and M_TOO_LARGE when it is too big.
 */
export async function appendEvent(app: AppendCapabilities, room: LockedRoom, event: NewEvent): Promise<StoredEvent> {
  const version = versionFor(room, event)
  requireStorable(event)
  const authKeys = authEventKeys(version, event)
  const createKey = { type: 'm.room.create', state_key: '' }
  const known = stateBy([...authKeys, createKey], await readLockedState(room, [...authKeys, createKey]))
  const authEvents = authKeys.flatMap((key) => known.get(key.type, key.state_key) ?? [])
  const built = buildEvent(version, await draftOf(app, room, version, { event, authEvents }), {
    serverName: app.serverName,
    ...app.signingKey,
  })
  const verdict = checkEventAuth(version, built, known)
  if (!verdict.allowed) throw refusal(version, event, verdict)

  const [nid] = (await app.takeNids(room.db, 1)) as [number]
  const stateBefore = room.head?.state_root ?? 0
  const stateAfter = await stateAfterEvent(app, room, { event, nid, stateBefore })
  const appended: AppendedEvent = {
    ...built,
    event_nid: nid,
    event_order: room.head?.next_order ?? 1,
    state_before: stateBefore,
    state_after: stateAfter,
    soft_failed: false,
    redacted_by: null,
    rejected_reason: null,
    txn_device_id: event.txn?.deviceId ?? null,
    txn_id: event.txn?.id ?? null,
    ...jsonOf(built.pdu),
  }
  await applyRedaction(room, appended, { version, asAdmin: event.asAdmin ?? false })
  room.events.push(appended)
  room.head = nextHead(room, version, appended)
  const before = known.get('m.room.member', event.state_key ?? '')
  followUpgrade(app, room, { event: appended, before, create: known.get('m.room.create', '') })
  return appended
}

/** PostgreSQL has no place for NUL in text. */
function requireStorable({ type, state_key: stateKey = '', txn }: NewEvent): void {
  if ([type, stateKey, txn?.id ?? ''].some((text) => text.includes('\0'))) {
    throw new BadJsonError('A type, state key or transaction id must not contain NUL')
  }
}

/** Power levels that are malformed are the client's mistake, no matter of permission. */
function refusal(
  version: RoomVersion,
  event: NewEvent,
  { rule, reason }: { rule: string; reason: string },
): MatrixError {
  const levels = ruleNumbers(version).powerLevels
  const malformed = [levels.namedMalformed, levels.entriesMalformed, levels.usersMalformed, levels.listsCreator]
  const isMalformed = event.type === 'm.room.power_levels' && malformed.includes(rule)
  return isMalformed ? new BadJsonError(reason) : new ForbiddenError(reason)
}

function jsonOf(pdu: object): { json: string; size: number } {
  const json = JSON.stringify(pdu)
  return { json, size: json.length }
}

function versionFor(room: LockedRoom, event: NewEvent): RoomVersion {
  if (room.head && event.type === 'm.room.create') throw new ForbiddenError('A room has only one m.room.create')
  if (room.head) return room.head.version
  const version = ROOM_VERSIONS.get(String(event.content.room_version ?? '1'))
  if (event.type !== 'm.room.create' || !version)
    throw new ForbiddenError('The first event of a room must be m.room.create with a known room_version')
  return version
}

async function draftOf(
  app: AppendCapabilities,
  room: LockedRoom,
  version: RoomVersion,
  { event, authEvents }: { event: NewEvent; authEvents: readonly StoredEvent[] },
): Promise<EventDraft> {
  const prevEvents = (room.head?.forward_extremities ?? []).slice(-MAX_PREV_EVENTS)
  const roomId = room.head?.room_id ?? room.newRoomId
  const draft: EventDraft = {
    ...(roomId !== undefined && { room_id: roomId }),
    type: event.type,
    ...(event.state_key !== undefined && { state_key: event.state_key }),
    sender: event.sender,
    content: event.content,
    origin_server_ts: event.origin_server_ts ?? app.clock.now(),
    depth: Math.min((room.head?.depth ?? 0) + 1, Number.MAX_SAFE_INTEGER),
    prev_events: prevEvents,
    auth_events: authEvents.map((authEvent) => authEvent.event_id),
    ...(event.redacts !== undefined && { redacts: event.redacts }),
  }
  if (version.eventIdFormat !== 'server-chosen') return draft
  return { ...draft, reference_hashes: await referenceHashes(room, version, { prevEvents, authEvents }) }
}

/** Room versions 1 and 2 name the hash of each referenced event beside its id. */
async function referenceHashes(
  room: LockedRoom,
  version: RoomVersion,
  { prevEvents, authEvents }: { prevEvents: readonly EventId[]; authEvents: readonly StoredEvent[] },
): Promise<Record<EventId, { sha256: string }>> {
  const own = room.events.filter((event) => prevEvents.includes(event.event_id))
  const absent = prevEvents.filter((id) => !own.some((event) => event.event_id === id))
  const referenced = [...own, ...authEvents, ...(await loadEventsById(room.db, absent))]
  return Object.fromEntries(
    referenced.map((event) => [event.event_id, { sha256: encodeBase64(referenceHash(version, event.pdu)) }]),
  )
}

async function stateAfterEvent(
  app: AppendCapabilities,
  room: LockedRoom,
  { event, nid, stateBefore }: { event: NewEvent; nid: number; stateBefore: number },
): Promise<number> {
  if (event.state_key === undefined) return stateBefore
  const { root, created } = await changeState({
    db: room.db,
    takeNids: app.takeNids,
    root: stateBefore,
    changes: [{ type: event.type, state_key: event.state_key, event_nid: nid }],
    overlay: { nodes: room.nodes, events: new Map() },
  })
  for (const [address, node] of created) room.nodes.set(address, node)
  return root
}

function nextHead(room: LockedRoom, version: RoomVersion, event: AppendedEvent): RoomHead {
  const kept = (room.head?.forward_extremities ?? []).filter((id) => !event.prev_event_ids.includes(id))
  return {
    room_id: event.room_id as RoomId,
    version,
    create_nid: room.head?.create_nid ?? event.event_nid,
    state_root: event.state_after ?? 0,
    depth: event.pdu.depth,
    next_order: (event.event_order ?? 0) + 1,
    forward_extremities: [...kept, event.event_id],
  }
}

function stateBy(keys: readonly StateKey[], events: readonly (StoredEvent | undefined)[]) {
  const byKey = new Map(keys.map((key, place) => [`${key.type}\0${key.state_key}`, events[place]]))
  return { get: (type: string, stateKey: string) => byKey.get(`${type}\0${stateKey}`) }
}
