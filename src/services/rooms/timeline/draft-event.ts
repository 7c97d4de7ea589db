import type { App } from '../../../app.ts'
import { authEventKeys } from '../../../core/auth-rules/auth-event-keys.ts'
import { BadJsonError, ForbiddenError } from '../../../core/errors.ts'
import type { EventDraft } from '../../../core/events/build-event.ts'
import { referenceHash } from '../../../core/events/reference-hash.ts'
import type { EventId } from '../../../core/ids.ts'
import type { StateKey } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import { encodeBase64 } from '../../../core/text/base64.ts'
import { findLockedEvents, type LockedRoom, readLockedStateAt } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { requireNoEntry } from './blocked-room.ts'
import type { NewEvent } from './new-event.ts'
import { resolveStates } from './resolve-states.ts'

/** A draft of a room's next event, and the state that authorizes it. */
export type DraftedEvent = {
  version: RoomVersion
  draft: EventDraft
  /** State group before the event. */
  stateBefore: number
  /** The room's `m.room.create` and the auth events. */
  known: { get(type: string, stateKey: string): StoredEvent | undefined }
}

type Capabilities = Pick<App, 'clock' | 'takeNids'>

/** Maximum number of prev events; the specification's limit is 20. */
const MAX_PREV_EVENTS = 20

/**
 * Drafts the next event of a room: selects its prev events, auth events and depth. Throws M_BAD_JSON for values that
 * cannot be stored, and M_FORBIDDEN for a first event that is not `m.room.create` and for entering a blocked room.
 */
export async function draftEvent(app: Capabilities, room: LockedRoom, event: NewEvent): Promise<DraftedEvent> {
  const version = versionFor(room, event)
  requireStorable(event)
  const authKeys = authEventKeys(version, event)
  const createKey = { type: 'm.room.create', state_key: '' }
  const { prevEvents, stateBefore } = await tipsOf(app, room, version)
  const known = stateBy([...authKeys, createKey], await readLockedStateAt(room, stateBefore, [...authKeys, createKey]))
  requireNoEntry(room, event, known.get('m.room.member', event.state_key ?? ''))
  const authEvents = authKeys.flatMap((key) => known.get(key.type, key.state_key) ?? [])
  const draft = await draftOf(app, room, version, { event, prevEvents, authEvents })
  return { version, draft, stateBefore, known }
}

/**
 * Returns the prev events of the next event, and the state before it: the room's current state, except in rooms with
 * very many forks.
 */
async function tipsOf(
  app: Capabilities,
  room: LockedRoom,
  version: RoomVersion,
): Promise<{ prevEvents: EventId[]; stateBefore: number }> {
  const extremities = room.head?.forward_extremities ?? []
  if (extremities.length <= MAX_PREV_EVENTS) return { prevEvents: extremities, stateBefore: room.head?.state_root ?? 0 }
  const prevEvents = extremities.slice(-MAX_PREV_EVENTS)
  const roots = (await findLockedEvents(room, prevEvents)).flatMap((event) => event.state_after ?? [])
  return { prevEvents, stateBefore: await resolveStates(app, room, { version, roots }) }
}

/** PostgreSQL text cannot contain NUL. */
function requireStorable({ type, state_key: stateKey = '', txn }: NewEvent): void {
  if ([type, stateKey, txn?.id ?? ''].some((text) => text.includes('\0'))) {
    throw new BadJsonError('A type, state key or transaction id must not contain NUL')
  }
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
  app: Capabilities,
  room: LockedRoom,
  version: RoomVersion,
  { event, prevEvents, authEvents }: { event: NewEvent; prevEvents: EventId[]; authEvents: readonly StoredEvent[] },
): Promise<EventDraft> {
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
    ...(event.sticky_ms !== undefined && { sticky_ms: event.sticky_ms }),
  }
  if (version.eventIdFormat !== 'server-chosen') return draft
  return { ...draft, reference_hashes: await referenceHashes(room, version, { prevEvents, authEvents }) }
}

/** Room versions 1 and 2 include the hash of each referenced event. */
async function referenceHashes(
  room: LockedRoom,
  version: RoomVersion,
  { prevEvents, authEvents }: { prevEvents: readonly EventId[]; authEvents: readonly StoredEvent[] },
): Promise<Record<EventId, { sha256: string }>> {
  const referenced = [...authEvents, ...(await findLockedEvents(room, prevEvents))]
  return Object.fromEntries(
    referenced.map((event) => [event.event_id, { sha256: encodeBase64(referenceHash(version, event.pdu)) }]),
  )
}

function stateBy(keys: readonly StateKey[], events: readonly (StoredEvent | undefined)[]) {
  const byKey = new Map(keys.map((key, place) => [`${key.type}\0${key.state_key}`, events[place]]))
  return { get: (type: string, stateKey: string) => byKey.get(`${type}\0${stateKey}`) }
}
