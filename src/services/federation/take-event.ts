import type { App } from '../../app.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import type { Event } from '../../core/events/pdu.ts'
import type { EventId, RoomId, ServerName } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { topologicalOrder } from '../../core/topological-order.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { findEventNids } from '../../storage/event-nids.ts'
import { findRoomHead } from '../../storage/room-heads.ts'
import { loadRoomServers } from '../../storage/room-servers.ts'
import { appendRemoteEvent, MissingEventsError, type RemoteOutcome } from '../rooms/append-remote-event.ts'
import { receivedState } from '../rooms/received-state.ts'
import { askMissingEvents } from './ask-for-events.ts'
import { type FetchingApp, fetchAuthEvents, fetchStateAfter, type Sources } from './fetch-references.ts'

export type TakingApp = FetchingApp & Pick<App, 'rooms' | 'serverName' | 'stopping'>

/** An event of another server whose signatures and hash are verified. */
export type ArrivedEvent = { origin: ServerName; roomId: RoomId; version: RoomVersion; event: Event }

/** For all that an event needs to be fetched. */
const TIME_LIMIT_MS = 120_000
/** Events that are fetched to fill the gap before an event; what is older stays a gap that /messages may fill. */
const MAX_GAP = 200
const PAGE = 20
/** States that are fetched for one gap: where it has more ends, it is left open. */
const MAX_STATES = 10
const OTHER_SERVERS = 3

/**
 * Takes an event into its room, with what it refers to. Throws FederationError when that cannot be had; `retryable` says whether to try again
 * later. https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function takeEvent(app: TakingApp, arrived: ArrivedEvent): Promise<RemoteOutcome> {
  const append = () => app.rooms.run(arrived.roomId, (room) => appendRemoteEvent(app, room, arrived.event))
  try {
    return await append()
  } catch (error) {
    if (!(error instanceof MissingEventsError)) throw error
    const source = await sourcesOf(app, arrived)
    if (error.prevIds.length > 0) await fillGap(app, source, arrived.event)
    return appendWithHelp(app, source, { event: arrived.event, statesLeft: { count: 0 } })
  }
}

async function sourcesOf(app: TakingApp, { origin, roomId, version }: ArrivedEvent): Promise<Sources> {
  const servers = await loadRoomServers(app.database, roomId, OTHER_SERVERS + 2)
  const others = servers.filter((server) => server !== origin && server !== app.serverName).slice(0, OTHER_SERVERS)
  const signal = AbortSignal.any([app.stopping, AbortSignal.timeout(TIME_LIMIT_MS)])
  return { server: origin, others, roomId, version, signal }
}

type Help = { event: Event; statesLeft: { count: number } }

/** Appends an event, fetching what permits it, and, as often as is allowed, the state after predecessors that nobody needs to have. */
async function appendWithHelp(app: TakingApp, source: Sources, { event, statesLeft }: Help): Promise<RemoteOutcome> {
  const told = new Map<EventId, number[]>()
  let hasAskedForAuth = false
  for (;;) {
    try {
      return await appendTold(app, source.roomId, event, told)
    } catch (error) {
      if (!(error instanceof MissingEventsError)) throw error
      if (error.authIds.length > 0) {
        if (hasAskedForAuth) throw new FederationError(`${event.event_id} cites what nobody has`, { retryable: false })
        hasAskedForAuth = true
        await fetchAuthEvents(app, source, { eventId: event.event_id, missing: error.authIds })
        continue
      }
      for (const id of error.prevIds) {
        if (statesLeft.count-- <= 0)
          throw new FederationError(`${event.event_id} follows what nobody has`, { retryable: false })
        told.set(id, await fetchStateAfter(app, source, id))
      }
    }
  }
}

function appendTold(
  app: TakingApp,
  roomId: RoomId,
  event: Event,
  told: ReadonlyMap<EventId, number[]>,
): Promise<RemoteOutcome> {
  return app.rooms.run(roomId, async (room) => {
    if (!room.head) throw new NotFoundError('This server is not in that room')
    const prevStates = new Map<EventId, number>()
    for (const [id, nids] of told) prevStates.set(id, await receivedState(app, room, nids))
    return appendRemoteEvent(app, room, event, { prevStates })
  })
}

/** Takes in what lies between the room's end, as it is here, and an event. */
async function fillGap(app: TakingApp, source: Sources, event: Event): Promise<void> {
  const statesLeft = { count: MAX_STATES }
  for (const missed of await fetchGap(app, source, event)) {
    try {
      await appendWithHelp(app, source, { event: missed, statesLeft })
    } catch (error) {
      // The others may do without it; if not, they say so themselves.
      if (!(error instanceof FederationError || error instanceof MatrixError)) throw error
      app.logger.info({ err: error, room_id: source.roomId, event_id: missed.event_id }, 'a missed event is left out')
    }
  }
}

/** The events of a gap, predecessors first. */
async function fetchGap(app: TakingApp, source: Sources, event: Event): Promise<Event[]> {
  const earliest = (await findRoomHead(app.database, source.roomId))?.forward_extremities ?? []
  const gap = new Map<EventId, Event>()
  let latest = [event.event_id]
  while (latest.length > 0 && gap.size < MAX_GAP) {
    const page = await askMissingEvents(app, source, { earliest, latest, limit: PAGE })
    const fresh = page.filter(({ event_id }) => event_id !== event.event_id && !gap.has(event_id))
    for (const missed of fresh) gap.set(missed.event_id, missed)
    // Fewer than asked for: the server has no more, or does not want to tell.
    latest = page.length < PAGE ? [] : await openEnds(app, gap, fresh)
  }
  const here = await findEventNids(app.database, [...gap.keys()])
  return topologicalOrder(gap, (missed) => missed.prev_event_ids).filter(
    ({ event_id }) => typeof here.get(event_id)?.event_order !== 'number',
  )
}

/** Those of the events just got that follow events which are neither here nor among those got. */
async function openEnds(app: TakingApp, gap: ReadonlyMap<EventId, Event>, fresh: readonly Event[]): Promise<EventId[]> {
  const unknown = new Set(fresh.flatMap((event) => event.prev_event_ids).filter((id) => !gap.has(id)))
  for (const [id, { event_order }] of await findEventNids(app.database, [...unknown])) {
    if (event_order !== null) unknown.delete(id)
  }
  return fresh.filter((event) => event.prev_event_ids.some((id) => unknown.has(id))).map(({ event_id }) => event_id)
}
