import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { isEventId, isRoomId, isUserId } from '../../../core/ids.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { relationOf } from '../../../core/rooms/relations.ts'
import { loadRelatedEvents } from '../../../storage/rooms/related-events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { type Redaction, redactEvent } from './redact-event.ts'

const PAGE = 50

const payload = z.object({
  room_id: z.string().refine(isRoomId),
  sender: z.string().refine(isUserId),
  redacts: z.string().refine(isEventId),
  rel_types: z.array(z.string()),
  content: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null),
  is_admin: z.boolean(),
  is_suspended: z.boolean(),
})

/**
 * Runs the job of a redaction with relations: redacts the related events that its sender may redact and that are not
 * redacted yet. https://github.com/matrix-org/matrix-spec-proposals/pull/3912
 */
export async function redactRelated(app: App, job: Json): Promise<void> {
  const { room_id: roomId, sender, redacts, content, ...how } = payload.parse(job)
  const isWanted = (event: StoredEvent) => {
    const relType = relationOf(event.pdu.content)?.rel_type
    return event.redacted_by === null && relType !== undefined && isAmong(how.rel_types, relType)
  }
  const everything = {
    before: Number.MAX_SAFE_INTEGER,
    direction: 'forwards',
    limit: PAGE,
    ignored: new Set(),
  } as const
  let after = -Number.MAX_SAFE_INTEGER
  for (;;) {
    if (app.stopping.aborted) throw new Error('the server stops before all is redacted')
    const page = await loadRelatedEvents(app.database, {
      roomId,
      eventId: redacts,
      depth: 1,
      after,
      ...everything,
      ignored: new Set(),
    })
    const redaction = { roomId, sender, content, isAdmin: how.is_admin, isSuspended: how.is_suspended }
    const wanted = page.filter(isWanted)
    await Promise.all(wanted.map((event) => redactIfAllowed(app, { ...redaction, redacts: event.event_id })))
    if (page.length < PAGE) return
    after = page.at(-1)!.event_order!
  }
}

function isAmong(relTypes: readonly string[], relType: string): boolean {
  return relTypes.includes('*') || relTypes.includes(relType)
}

async function redactIfAllowed(app: App, redaction: Redaction): Promise<void> {
  try {
    await redactEvent(app, redaction)
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
  }
}
