import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { findLockedEvents } from '../../../storage/rooms/timeline/locked-room.ts'
import { applyEarlyRedactions } from './apply-redaction.ts'
import { releaseEvents } from './release-events.ts'

const early = z.object({
  room_id: z.string().transform((id) => id as RoomId),
  event_id: z.string().transform((id) => id as EventId),
})

/**
 * Runs the job of an event that became known outside the timeline after its redactions: applies them, and adds them to
 * the timeline for clients.
 */
export async function applyEarly(app: Pick<App, 'rooms'>, job: Json): Promise<void> {
  const { room_id: roomId, event_id: eventId } = early.parse(job)
  await app.rooms.run(roomId, async (room) => {
    const [target] = await findLockedEvents(room, [eventId])
    if (!room.head || !target) return
    releaseEvents(room, await applyEarlyRedactions(room, room.head.version, target))
  })
}
