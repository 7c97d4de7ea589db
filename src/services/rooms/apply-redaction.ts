import { ForbiddenError } from '../../core/errors.ts'
import { redactedEventId } from '../../core/events/client-event.ts'
import { redact } from '../../core/events/redaction.ts'
import { domainOf } from '../../core/ids.ts'
import { powerLevels } from '../../core/power-levels.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { findRoomEvent } from '../../storage/events.ts'
import { type AppendedEvent, type LockedRoom, readLockedState, roomIdOf } from '../../storage/locked-room.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** Redacted, these would change what the room is or whom it keeps out. */
const KEPT_TYPES = ['m.room.create', 'm.room.server_acl']

/**
 * Empties the event that a redaction of one of our users names. Throws M_FORBIDDEN unless it is the user's own, or the user has the power to
 * redact, or redacts `asAdmin` what another user of this server sent. A redaction of an event that this server does not have changes nothing
 * here. https://spec.matrix.org/v1.19/client-server-api/#redactions
 */
export async function applyRedaction(
  room: LockedRoom,
  redaction: AppendedEvent,
  { version, asAdmin }: { version: RoomVersion; asAdmin: boolean },
): Promise<void> {
  const targetId = redactedEventId(version, redaction.pdu)
  if (targetId === undefined || !room.head) return
  const appended = room.events.find((event) => event.event_id === targetId)
  const target = appended ?? (await findRoomEvent(room.db, roomIdOf(room), targetId))
  if (!target) return
  const { sender, type } = target.pdu
  if (KEPT_TYPES.includes(type)) throw new ForbiddenError(`${type} cannot be redacted`)
  const isOurs = sender === redaction.pdu.sender || (asAdmin && domainOf(sender) === domainOf(redaction.pdu.sender))
  if (!isOurs) await checkMayRedact(room, version, redaction)
  if (target.redacted_by !== null || type === 'm.room.redaction') return
  const json = JSON.stringify(redact(version, target.pdu))
  room.redactions.push({ event_id: target.event_id, json, redacted_by: redaction.event_id })
}

async function checkMayRedact(room: LockedRoom, version: RoomVersion, redaction: StoredEvent): Promise<void> {
  const [create, levels] = await readLockedState(room, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  const power = powerLevels(version, create!, levels)
  if (power.of(redaction.pdu.sender) < power.redact)
    throw new ForbiddenError("You have not the power to redact others' events")
}
