import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { findDelayedEvent, loadDelayedEvents } from '../../../storage/rooms/delayed-events.ts'
import type { DelayedEventRow } from '../../../storage/schema/delayed-events.ts'

/**
 * Returns one delayed event of a user, with `finalised` if it is no longer scheduled. Throws M_NOT_FOUND.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function readDelayedEvent(app: Pick<App, 'database'>, userId: UserId, delayId: string): Promise<object> {
  const row = await findDelayedEvent(app.database, delayId)
  if (row?.user_id !== userId) throw new NotFoundError('Unknown delayed event')
  const { finalised_ts, event_id, error } = row
  const finalised = finalised_ts !== null && {
    finalised: {
      finalised_ts,
      ...(event_id !== null && { event_id }),
      ...(error !== null && { error: JSON.parse(error) }),
    },
  }
  return { ...presentBothWays(row), ...finalised }
}

/**
 * Lists a user's delayed events: `delayed_events` has the scheduled ones, as in Synapse; `scheduled` and `finalised`
 * have the form of earlier drafts, which matrix-js-sdk reads. One page has them all, since their number is limited.
 */
export async function listDelayedEvents(
  app: Pick<App, 'database'>,
  userId: UserId,
  status?: 'scheduled' | 'finalised',
): Promise<object> {
  const rows = await loadDelayedEvents(app.database, userId)
  const scheduled = rows.filter((row) => row.finalised_ts === null).map(presentBothWays)
  const finalised = rows.filter((row) => row.finalised_ts !== null).map(presentEnd)
  return {
    delayed_events: status === 'finalised' ? [] : scheduled,
    ...(status !== 'finalised' && { scheduled }),
    ...(status !== 'scheduled' && { finalised }),
  }
}

function present(row: DelayedEventRow): object {
  return {
    delay_id: row.delay_id,
    room_id: row.room_id,
    type: row.type,
    ...(row.state_key !== null && { state_key: row.state_key }),
    delay_ms: row.delay_ms,
    delayed_since_ts: row.since_ts,
    content: JSON.parse(row.content),
  }
}

/** Adds the field names of earlier drafts. */
function presentBothWays(row: DelayedEventRow): object {
  return { ...present(row), delay: row.delay_ms, running_since: row.since_ts }
}

function presentEnd(row: DelayedEventRow): object {
  const { event_id, error, finalised_ts, since_ts, delay_ms } = row
  const reason = error !== null ? 'error' : (finalised_ts ?? 0) < since_ts + delay_ms ? 'action' : 'delay'
  return {
    delayed_event: presentBothWays(row),
    outcome: event_id === null ? 'cancel' : 'send',
    reason,
    ...(error !== null && { error: JSON.parse(error) }),
    ...(event_id !== null && { event_id }),
    origin_server_ts: finalised_ts,
  }
}
