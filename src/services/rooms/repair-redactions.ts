import { z } from 'zod'
import type { App } from '../../app.ts'
import { redactedEventId } from '../../core/events/client-event.ts'
import type { Json } from '../../core/events/pdu.ts'
import type { EventId, RoomId } from '../../core/ids.ts'
import { loadEvents, loadEventsById } from '../../storage/events.ts'
import { enqueueJob } from '../../storage/jobs.ts'
import { findLockedEvents, headOf, type LockedRoom, readLockedState } from '../../storage/locked-room.ts'
import { loadUnrepairedRedactions, type UnrepairedEvent } from '../../storage/redacted-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { applyEarlyRedactions, applyRemoteRedaction, releaseRedactions } from './apply-redaction.ts'

/** The job that the migration to this behaviour leaves. */
export const REPAIR_REDACTIONS = 'repair_redactions'

/** Events that are looked through at once, and the time after which the job makes room for others. */
const PAGE = 5000
const SLICE_MS = 500

const progress = z.object({ after: z.int() })
const early = z.object({
  room_id: z.string().transform((id) => id as RoomId),
  event_id: z.string().transform((id) => id as EventId),
})

type Capabilities = Pick<App, 'database' | 'rooms' | 'clock' | 'stopping'>

/** The job that an event leaves which became known after redactions of it, but not in the room's timeline: applies these and tells of them. */
export async function applyEarly(app: Pick<App, 'rooms'>, job: Json): Promise<void> {
  const { room_id: roomId, event_id: eventId } = early.parse(job)
  await app.rooms.run(roomId, async (room) => {
    const [target] = await findLockedEvents(room, [eventId])
    if (!room.head || !target) return
    releaseRedactions(room, await applyEarlyRedactions(room, room.head.version, target), false)
  })
}

/**
 * Repairs what redactions from before Hearth treated them as changes of state have left: what is computed from state that they emptied, redactions
 * that were redacted themselves, and those that do not hold. Goes through all events, a slice at a time, and asks for the next slice.
 */
export async function repairRedactions(app: Capabilities, job: Json): Promise<void> {
  let { after } = progress.parse(job)
  const deadline = app.clock.now() + SLICE_MS
  while (app.clock.now() < deadline && !app.stopping.aborted) {
    const { last, events } = await loadUnrepairedRedactions(app.database, after, PAGE)
    if (last === undefined) return
    for (const [roomId, ofRoom] of Map.groupBy(events, ({ room_id }) => room_id))
      await app.rooms.run(roomId, (room) => repairRoom(room, ofRoom))
    after = last
  }
  const next = { kind: REPAIR_REDACTIONS, key: '', payload: { after }, now: app.clock.now() }
  await app.database.write((tx) => enqueueJob(tx, next))
}

async function repairRoom(room: LockedRoom, unrepaired: readonly UnrepairedEvent[]): Promise<void> {
  if (!room.head) return
  const nids = unrepaired.map(({ event_nid }) => event_nid)
  const events = [...(await loadEvents(room.db, nids)).values()]
  const redactions = events.filter(({ pdu }) => pdu.type === 'm.room.redaction')
  const { version } = headOf(room)
  // What they redact is read once for all.
  await loadEventsById(
    room.db,
    redactions.flatMap(({ pdu }) => redactedEventId(version, pdu) ?? []),
  )
  for (const redaction of redactions) {
    const holds = redaction.redacted_by !== null || (await applyRemoteRedaction(room, version, redaction))
    if (!holds) withhold(room, redaction)
  }
  for (const event of events) await renewCurrent(room, event)
}

function withhold(room: LockedRoom, redaction: StoredEvent): void {
  const json = JSON.stringify(redaction.pdu)
  room.events.push({ ...redaction, soft_failed: true, json, rejected_reason: null, was_stored: true, is_history: true })
}

/** Computes anew what follows from a piece of current state that has been emptied. */
async function renewCurrent(room: LockedRoom, event: StoredEvent): Promise<void> {
  const { type, state_key } = event.pdu
  if (state_key === undefined || event.redacted_by === null) return
  const [current] = await readLockedState(room, [{ type, state_key }])
  if (current?.event_nid !== event.event_nid) return
  room.redactions.push({ event, json: JSON.stringify(event.pdu), wasCurrent: true })
}
