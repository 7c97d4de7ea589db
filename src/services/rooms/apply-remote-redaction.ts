import { redactedEventId } from '../../core/events/client-event.ts'
import { redact } from '../../core/events/redaction.ts'
import { domainOf, type EventId } from '../../core/ids.ts'
import { powerLevels } from '../../core/power-levels.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { findEarlyRedactions, noteEarlyRedaction } from '../../storage/early-redactions.ts'
import { type AppendedEvent, findLockedEvents, type LockedRoom, readLockedStateAt } from '../../storage/locked-room.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** Redacted, these would change what the room is, or be what redaction is about. */
const KEPT_TYPES = ['m.room.create', 'm.room.redaction']

/**
 * Empties the event that an accepted redaction of another server names, if its sender may: as that of the event's own server, or by power. If
 * the event is not here yet, that is done when it arrives. https://spec.matrix.org/v1.19/rooms/v11/#handling-redactions
 */
export async function applyRemoteRedaction(
  room: LockedRoom,
  version: RoomVersion,
  redaction: AppendedEvent,
): Promise<void> {
  const targetId = redactedEventId(version, redaction.pdu) as EventId | undefined
  if (targetId === undefined || targetId.includes('\0')) return
  const [target] = await findLockedEvents(room, [targetId])
  if (!target) {
    room.writes.push((tx) => noteEarlyRedaction(tx, { redacts: targetId, event_id: redaction.event_id }))
  } else if (await mayRedact(room, version, { target, redaction })) {
    redactIn(room, version, target, redaction.event_id)
  }
}

/** Empties an event that arrives, if a redaction of it was here before. */
export async function applyEarlyRedaction(
  room: LockedRoom,
  version: RoomVersion,
  target: AppendedEvent,
): Promise<void> {
  const ids = await findEarlyRedactions(room.db, target.event_id)
  for (const redaction of ids.length === 0 ? [] : await findLockedEvents(room, ids)) {
    if (!(await mayRedact(room, version, { target, redaction }))) continue
    redactIn(room, version, target, redaction.event_id)
    return
  }
}

function redactIn(room: LockedRoom, version: RoomVersion, target: StoredEvent, by: EventId): void {
  if (target.redacted_by !== null || KEPT_TYPES.includes(target.pdu.type)) return
  const json = JSON.stringify(redact(version, target.pdu))
  room.redactions.push({ event_id: target.event_id, json, redacted_by: by })
}

async function mayRedact(
  room: LockedRoom,
  version: RoomVersion,
  { target, redaction }: { target: StoredEvent; redaction: StoredEvent },
): Promise<boolean> {
  if (target.room_id !== redaction.room_id) return false
  // There the authorisation rules have looked at it.
  if (version.redactionByEventIdDomain) return true
  if (domainOf(target.pdu.sender) === domainOf(redaction.pdu.sender)) return true
  const [create, levels] = await readLockedStateAt(room, redaction.state_before ?? 0, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  if (!create) return false
  const power = powerLevels(version, create, levels)
  return power.of(redaction.pdu.sender) >= power.redact
}
