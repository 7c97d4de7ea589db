import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { appendRemoteEvent, MissingEventsError, type RemoteOutcome } from '../../rooms/timeline/append-remote-event.ts'
import { ApprovalNeeded } from '../../rooms/timeline/approval-needed.ts'
import { receivedState } from '../../rooms/timeline/received-state.ts'
import { withApproval } from '../trust/with-approval.ts'
import {
  type FetchingApp,
  fetchAuthEvents,
  fetchStateAfter,
  fetchStateBefore,
  type Sources,
} from './fetch-references.ts'

export type IngestApp = FetchingApp &
  Pick<App, 'rooms' | 'serverName' | 'clock' | 'stopping' | 'spamChecks' | 'timeline'>

/** An event to append; `historyOrder`: its order, if it is history. */
export type AppendedItem = { event: Event; historyOrder?: number }
/** The number of states that may still be fetched. */
export type StatesLeft = { count: number }

/**
 * Appends an event, fetching its missing auth events and, within `StatesLeft`, the states after prev events that cannot
 * be fetched. Throws FederationError if they are unavailable.
 */
export async function appendWithHelp(
  app: IngestApp,
  source: Sources,
  { statesLeft, ...item }: AppendedItem & { statesLeft: StatesLeft },
): Promise<RemoteOutcome> {
  const { event_id: eventId } = item.event
  const states = new Map<EventId, number[]>()
  let hasAskedForAuth = false
  for (;;) {
    try {
      return await appendWithStates(app, source.roomId, item, states)
    } catch (error) {
      if (!(error instanceof MissingEventsError)) throw error
      // First the states, whose responses include the auth events.
      if (error.prevIds.length === 0) {
        if (hasAskedForAuth)
          throw new FederationError(`auth events of ${eventId} are unavailable`, { retryable: false })
        hasAskedForAuth = true
        await fetchAuthEvents(app, source, { eventId, missing: error.authIds })
        continue
      }
      if (statesLeft.count <= 0)
        throw new FederationError(`prev events of ${eventId} are unavailable`, { retryable: false })
      for (const [id, nids] of await statesAfter(app, source, { eventId, prevIds: error.prevIds, statesLeft }))
        states.set(id, nids)
    }
  }
}

/**
 * Returns the states after an event's prev events. If these are more than may be fetched, uses the state before the
 * event for all of them.
 */
async function statesAfter(
  app: IngestApp,
  source: Sources,
  { eventId, prevIds, statesLeft }: { eventId: EventId; prevIds: readonly EventId[]; statesLeft: StatesLeft },
): Promise<Map<EventId, number[]>> {
  if (prevIds.length > statesLeft.count) {
    statesLeft.count--
    const { nids } = await fetchStateBefore(app, source, eventId)
    return new Map(prevIds.map((id) => [id, nids]))
  }
  const states = new Map<EventId, number[]>()
  for (const id of prevIds) {
    statesLeft.count--
    states.set(id, (await fetchStateAfter(app, source, id, eventId)).nids)
  }
  return states
}

function appendWithStates(
  app: IngestApp,
  roomId: RoomId,
  { event, historyOrder }: AppendedItem,
  states: ReadonlyMap<EventId, number[]>,
): Promise<RemoteOutcome> {
  const place = historyOrder === undefined ? {} : { historyOrder }
  return withApproval(app, event, (signed, refusal) =>
    app.rooms.run(roomId, async (room) => {
      if (!room.head) throw new NotFoundError('This server is not in that room')
      const prevStates = new Map<EventId, number>()
      for (const [id, nids] of states) prevStates.set(id, await receivedState(app, room, nids))
      return appendRemoteEvent(app, room, signed, { prevStates, ...place, ...refusal })
    }),
  )
}

/**
 * Appends events in order, many per transaction. Events that fail are left out: later ones may not need them, and fail
 * by themselves if they do.
 */
export async function appendAll(
  app: IngestApp,
  source: Sources,
  { items, statesLeft }: { items: readonly AppendedItem[]; statesLeft: StatesLeft },
): Promise<void> {
  let rest = items
  while (rest.length > 0) {
    const done = await appendReady(app, source.roomId, rest)
    const [next] = rest.slice(done)
    if (!next) return
    try {
      await appendWithHelp(app, source, { ...next, statesLeft })
    } catch (error) {
      if (!(error instanceof FederationError || error instanceof MatrixError)) throw error
      app.logger.info({ err: error, room_id: source.roomId, event_id: next.event.event_id }, 'invalid event omitted')
    }
    rest = rest.slice(done + 1)
  }
}

/** Appends the leading events whose references are all here, and returns their number. */
function appendReady(app: IngestApp, roomId: RoomId, items: readonly AppendedItem[]): Promise<number> {
  return app.rooms.run(roomId, async (room) => {
    let done = 0
    for (const { event, historyOrder } of items) {
      try {
        await appendRemoteEvent(app, room, event, historyOrder === undefined ? {} : { historyOrder })
      } catch (error) {
        if (error instanceof MissingEventsError || error instanceof ApprovalNeeded) break
        throw error
      }
      done++
    }
    return done
  })
}
