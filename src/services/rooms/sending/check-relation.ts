import { MatrixError } from '../../../core/errors.ts'
import { type Relation, relationOf } from '../../../core/rooms/relations.ts'
import { findAnnotations } from '../../../storage/rooms/annotations.ts'
import { findRoomEvent, loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { type LockedRoom, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { countingRelations } from '../reading/thread-of.ts'

/**
 * Checks the relation of an event that was just appended. Throws M_DUPLICATE_ANNOTATION for a repeated reaction of the
 * sender, and M_UNKNOWN for a thread whose root itself relates to another event.
 * https://spec.matrix.org/v1.19/client-server-api/#avoiding-duplicate-annotations
 * https://spec.matrix.org/v1.19/client-server-api/#validation-of-mthread-relationships
 */
export async function checkRelation(room: LockedRoom, event: StoredEvent): Promise<void> {
  const relation = relationOf(event.pdu.content)
  if (relation?.rel_type === 'm.annotation') await checkAnnotation(room, event, relation)
  if (relation?.rel_type === 'm.thread') await checkThread(room, relation)
}

async function checkAnnotation(room: LockedRoom, event: StoredEvent, relation: Relation): Promise<void> {
  if (relation.key === undefined) return
  const { sender, type } = event.pdu
  const stored = await loadEvents(
    room.db,
    await findAnnotations(room.db, { roomId: roomIdOf(room), parent: relation.event_id, sender, type }),
  )
  const appended = room.events.filter((other) => other !== event && other.pdu.sender === sender)
  const redacted = new Set<string>(room.redactions.map(({ event }) => event.event_id))
  const duplicate = [...stored.values(), ...appended].some((other) => {
    const { event_id, key, rel_type } = relationOf(other.pdu.content) ?? {}
    const isSame = rel_type === 'm.annotation' && event_id === relation.event_id && key === relation.key
    return isSame && other.pdu.type === type && !redacted.has(other.event_id)
  })
  if (duplicate) throw new MatrixError(400, 'M_DUPLICATE_ANNOTATION', 'You have already sent this reaction')
}

async function checkThread(room: LockedRoom, relation: Relation): Promise<void> {
  const appended = room.events.find((event) => event.event_id === relation.event_id)
  const root = appended ?? (await findRoomEvent(room.db, roomIdOf(room), relation.event_id))
  if (root && (await countingRelations(room.db, [root])).size > 0) {
    throw new MatrixError(400, 'M_UNKNOWN', 'A thread cannot start at an event that is related to another')
  }
}
