import type { App } from '../../../app.ts'
import type { Event } from '../../../core/pdu.ts'
import { headOf, type LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import { ApprovalNeeded } from './approval-needed.ts'

/** The check of every event, in the configuration. */
export const EVENT_CHECK = 'check_event_for_spam'

/** Thrown for an event that the service for spam checks has to see first. */
class SpamCheckNeeded extends ApprovalNeeded {}

/**
 * Throws SpamCheckNeeded for an event that was not checked yet, if the configuration has the check. The first events
 * of a room are not checked.
 */
export function requireSpamCheck(app: Pick<App, 'spamChecks' | 'timeline'>, room: LockedRoom, event: Event): void {
  if (!app.spamChecks?.has(EVENT_CHECK) || room.isNew) return
  if (app.timeline.approvedEvents.isChecked(event.event_id)) return
  throw new SpamCheckNeeded(headOf(room).version, event, 'a spam check')
}
