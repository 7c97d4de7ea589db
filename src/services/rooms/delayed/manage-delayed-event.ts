import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { finaliseDelayedEvent, findDelayedEvent, restartDelayedEvent } from '../../../storage/rooms/delayed-events.ts'
import type { DelayedEventRow } from '../../../storage/schema/delayed-events.ts'
import { sendDelayedEvent } from './send-delayed-event.ts'

export const DELAYED_EVENT_ACTIONS = ['send', 'cancel', 'restart'] as const
export type DelayedEventAction = (typeof DELAYED_EVENT_ACTIONS)[number]

/**
 * Sends a scheduled event now, cancels it or restarts its delay. Succeeds if it has already ended in the requested way.
 * Throws M_NOT_FOUND for an unknown event (404) or one that ended in another way (409), and for `send` what sending
 * throws: the event then stays scheduled. https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function manageDelayedEvent(app: App, delayId: string, action: DelayedEventAction): Promise<void> {
  if (action === 'restart' && (await restart(app, delayId))) return
  const event = await findDelayedEvent(app.database, delayId)
  if (!event) throw new NotFoundError('Unknown delayed event')
  if (event.finalised_ts === null && (await carryOut(app, event, action))) return
  const ended = (await findDelayedEvent(app.database, delayId)) ?? event
  if (action !== outcomeOf(ended)) throw conflict()
}

/** Returns false if the event has ended in the meantime. */
async function carryOut(app: App, event: DelayedEventRow, action: DelayedEventAction): Promise<boolean> {
  const { delay_id: delayId } = event
  const now = app.clock.now()
  if (action === 'send') return sendDelayedEvent(app, event, null)
  if (action === 'cancel') return app.database.write((tx) => finaliseDelayedEvent(tx, { delayId, now }))
  return restart(app, delayId)
}

function restart(app: App, delayId: string): Promise<boolean> {
  return app.database.write((tx) => restartDelayedEvent(tx, delayId, app.clock.now()))
}

function outcomeOf({ event_id: eventId }: DelayedEventRow): DelayedEventAction {
  return eventId === null ? 'cancel' : 'send'
}

/** The proposal defines no errcode. Clients that do not handle 409 schedule another event on M_NOT_FOUND. */
function conflict(): MatrixError {
  return new MatrixError(409, 'M_NOT_FOUND', 'The delayed event is no longer scheduled')
}
