import type { App } from '../../../app.ts'
import { stickyUntil } from '../../../core/events/sticky.ts'
import { findSoftFailedSticky } from '../../../storage/rooms/sticky-events.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { appendedEvents, headOf, type LockedRoom, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { isAllowedNow } from './judge-remote-event.ts'
import { PolicySignatureNeeded, requirePolicySignature } from './policy-server.ts'
import { releaseEvents } from './release-events.ts'

/** Events checked after one change of the state, the newest first: a hostile server can send any number. */
const MOST_CHECKED = 100

/**
 * Checks soft-failed sticky events again after the current state of a room has changed from the state group `before`.
 * Clients get those that it allows as the newest events of the room.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 */
export async function reviveSticky(app: Pick<App, 'clock'>, room: LockedRoom, before: number): Promise<void> {
  if (headOf(room).state_root === before) return
  const now = app.clock.now()
  const mayRevive = ({ pdu }: StoredEvent) =>
    pdu.state_key === undefined && pdu.type !== 'm.room.redaction' && stickyUntil(pdu, now) !== undefined
  const allowed: StoredEvent[] = []
  for (const event of (await softFailed(room, now)).filter(mayRevive))
    if ((await isAllowedNow(room, event)) && (await isApproved(room, event))) allowed.push(event)
  releaseEvents(room, allowed)
}

/** Returns the events in the order of their arrival. */
async function softFailed(room: LockedRoom, now: number): Promise<StoredEvent[]> {
  const ofCommands = appendedEvents(room)
  const own = [...ofCommands.values()].filter((event) => event.soft_failed && !event.is_never_sticky)
  const nids = room.stickyUntil > now ? await findSoftFailedSticky(room.db, roomIdOf(room), now, MOST_CHECKED) : []
  const stored = nids.length > 0 ? await loadEvents(room.db, nids) : new Map<number, StoredEvent>()
  const earlier = [...stored.values()].filter((event) => event.soft_failed && !ofCommands.has(event.event_id))
  return [...earlier, ...own].sort((a, b) => a.event_order! - b.event_order!)
}

/** The policy server is not asked again: without its signature, the event stays hidden. */
async function isApproved(room: LockedRoom, event: StoredEvent): Promise<boolean> {
  try {
    await requirePolicySignature(room, event)
    return true
  } catch (error) {
    if (error instanceof PolicySignatureNeeded) return false
    throw error
  }
}
