import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { finaliseDelayedEvent, findDelayedEvent, restartDelayedEvent } from '../../../storage/rooms/delayed-events.ts'
import type { DelayedEventRow } from '../../../storage/schema/delayed-events.ts'
import { sendDelayedEvent } from './send-delayed-event.ts'

export const DELAYED_EVENT_ACTIONS = ['send', 'cancel', 'restart'] as const
export type DelayedEventAction = (typeof DELAYED_EVENT_ACTIONS)[number]

/**
 * Sends a scheduled event now, cancels it or starts its delay anew. What has ended already in the way that is asked for
 * is a success. Throws M_NOT_FOUND for an event that is not known (404) or that ended otherwise (409), and for `send`
 * what sending throws: the event then stays scheduled. https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function manageDelayedEvent(app: App, delayId: string, action: DelayedEventAction): Promise<void> {
  const event = await findDelayedEvent(app.database, delayId)
  if (!event) throw new NotFoundError('There is no such delayed event')
  if (event.finalised_ts === null && (await carryOut(app, event, action))) return
  const ended = (await findDelayedEvent(app.database, delayId)) ?? event
  if (action !== outcomeOf(ended)) throw conflict()
}

/** False when the event has ended meanwhile. */
async function carryOut(app: App, event: DelayedEventRow, action: DelayedEventAction): Promise<boolean> {
  const { delay_id: delayId } = event
  const now = app.clock.now()
  if (action === 'send') return sendDelayedEvent(app, event, null)
  if (action === 'cancel') return app.database.write((tx) => finaliseDelayedEvent(tx, { delayId, now }))
  return app.database.write((tx) => restartDelayedEvent(tx, delayId, now))
}

function outcomeOf({ event_id: eventId }: DelayedEventRow): DelayedEventAction {
  return eventId === null ? 'cancel' : 'send'
}

/**
 * The proposal has no errcode for it; clients that know nothing of 409 take M_NOT_FOUND as the sign to schedule another
 * event.
 */
function conflict(): MatrixError {
  return new MatrixError(409, 'M_NOT_FOUND', 'The delayed event is no longer scheduled')
}
