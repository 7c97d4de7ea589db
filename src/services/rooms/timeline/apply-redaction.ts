import { ForbiddenError, InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { redactedEventId } from '../../../core/events/client-event.ts'
import { redact } from '../../../core/events/redaction.ts'
import { domainOf, type RoomId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { powerLevels } from '../../../core/rooms/power-levels.ts'
import {
  findEarlyRedactions,
  forgetEarlyRedaction,
  noteEarlyRedaction,
} from '../../../storage/rooms/timeline/early-redactions.ts'
import {
  type AppendedEvent,
  findLockedEvents,
  type LockedRoom,
  readLockedState,
  readLockedStateAt,
  roomIdOf,
} from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/**
 * Redacting these would change the room's nature or its bans of servers. Other servers decide for themselves about the
 * second.
 */
const CREATE = 'm.room.create'
const SERVER_ACL = 'm.room.server_acl'

/**
 * Applies a redaction by a local user. Throws M_FORBIDDEN unless the event is the user's own, or the user has the power
 * to redact, or redacts `asAdmin` an event of another local user; M_NOT_FOUND for an unknown event, and M_INVALID_PARAM
 * for one of another room.
 * https://spec.matrix.org/v1.19/client-server-api/#redactions
 */
export async function applyRedaction(
  room: LockedRoom,
  redaction: AppendedEvent,
  { version, asAdmin }: { version: RoomVersion; asAdmin: boolean },
): Promise<void> {
  const targetId = redactedEventId(version, redaction.pdu)
  if (targetId === undefined || !room.head) return
  const [target] = await findLockedEvents(room, [targetId])
  if (!target || target.rejected) throw new NotFoundError('There is no event with the id to redact')
  if (target.room_id !== roomIdOf(room)) throw new InvalidParamError('The event to redact belongs to another room')
  const { sender, type } = target.pdu
  if (type === CREATE || type === SERVER_ACL) throw new ForbiddenError(`${type} cannot be redacted`)
  const isOurs = sender === redaction.pdu.sender || (asAdmin && domainOf(sender) === domainOf(redaction.pdu.sender))
  if (!isOurs && !(await hasPower(room, version, { redaction, root: room.head.state_root })))
    throw new ForbiddenError('You do not have the power to redact events of other users')
  await empty(room, version, { target, redaction })
}

/**
 * Applies an accepted remote redaction if it is valid: its sender is on the event's server or has the power to redact.
 * Returns whether it is valid; clients get it only then. If the event is not here yet, the redaction is checked when it
 * arrives.
 * https://spec.matrix.org/v1.19/rooms/v3/#handling-redactions
 */
export async function applyRemoteRedaction(
  room: LockedRoom,
  version: RoomVersion,
  redaction: StoredEvent,
): Promise<boolean> {
  const targetId = redactedEventId(version, redaction.pdu)
  if (targetId === undefined) return false
  const [target] = await findLockedEvents(room, [targetId])
  if (target && !target.rejected) return settle(room, version, { target, redaction })
  const { event_id, room_id } = redaction
  room.writes.push((tx) => noteEarlyRedaction(tx, { redacts: targetId, event_id, room_id: room_id as RoomId }))
  return false
}

/**
 * Redacts an event that was just added, if redactions of it arrived before. Returns the valid ones, which
 * the caller adds to the timeline after it (release-events.ts).
 */
export async function applyEarlyRedactions(
  room: LockedRoom,
  version: RoomVersion,
  target: StoredEvent,
): Promise<StoredEvent[]> {
  const ids = await findEarlyRedactions(room.db, target.event_id)
  const holding: StoredEvent[] = []
  for (const redaction of ids.length === 0 ? [] : await findLockedEvents(room, ids)) {
    if (!(await settle(room, version, { target, redaction }))) continue
    holding.push(redaction)
    room.writes.push((tx) => forgetEarlyRedaction(tx, { redacts: target.event_id, event_id: redaction.event_id }))
  }
  return holding
}

type Redacting = { target: StoredEvent; redaction: StoredEvent }

/** Redacts an event if the redaction is valid, and returns whether it is. */
async function settle(room: LockedRoom, version: RoomVersion, { target, redaction }: Redacting): Promise<boolean> {
  if (!(await holds(room, version, { target, redaction }))) return false
  await empty(room, version, { target, redaction })
  return true
}

async function holds(room: LockedRoom, version: RoomVersion, { target, redaction }: Redacting): Promise<boolean> {
  if (target.room_id !== redaction.room_id || target.pdu.type === CREATE) return false
  // In these versions the authorization rules have checked it.
  if (version.redactionByEventIdDomain) return true
  if (domainOf(target.pdu.sender) === domainOf(redaction.pdu.sender)) return true
  return hasPower(room, version, { redaction, root: redaction.state_before ?? 0 })
}

async function hasPower(
  room: LockedRoom,
  version: RoomVersion,
  { redaction, root }: { redaction: StoredEvent; root: number },
): Promise<boolean> {
  const [create, levels] = await readLockedStateAt(room, root, [
    { type: CREATE, state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  if (!create) return false
  const power = powerLevels(version, create, levels)
  return power.of(redaction.pdu.sender) >= power.redact
}

async function empty(room: LockedRoom, version: RoomVersion, { target, redaction }: Redacting): Promise<void> {
  if (target.redacted_by !== null) return
  const pdu = redact(version, target.pdu)
  const json = JSON.stringify(pdu)
  const event: StoredEvent = { ...target, pdu, size: json.length, redacted_by: redaction.event_id }
  room.redactions.push({ event, json, wasCurrent: await isCurrent(room, target) })
}

async function isCurrent(room: LockedRoom, { pdu: { type, state_key }, event_nid }: StoredEvent): Promise<boolean> {
  if (state_key === undefined) return false
  const [current] = await readLockedState(room, [{ type, state_key }])
  return current?.event_nid === event_nid
}
