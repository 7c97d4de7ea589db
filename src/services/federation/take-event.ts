import type { App } from '../../app.ts'
import type { Event } from '../../core/events/pdu.ts'
import type { EventId, RoomId, ServerName } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { topologicalOrder } from '../../core/topological-order.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { findEventNids } from '../../storage/event-nids.ts'
import { findBeginDepth, findRoomHead } from '../../storage/room-heads.ts'
import { appendRemoteEvent, MissingEventsError, type RemoteOutcome } from '../rooms/append-remote-event.ts'
import { appendAll, appendWithHelp, type TakingApp } from './append-with-help.ts'
import { askEvents, askMissingEvents } from './ask-for-events.ts'
import { fromAny, type Sources } from './fetch-references.ts'
import { sourcesOf } from './sources-of.ts'
import { withPolicySignature } from './with-policy-signature.ts'

/** An event of another server whose signatures and hash are verified. */
export type ArrivedEvent = { origin: ServerName; roomId: RoomId; version: RoomVersion; event: Event }

/** Events that are fetched to fill the gap before an event; what is older stays a gap that /messages may fill. */
const MAX_GAP = 200
const PAGE = 20
/** States that are fetched for one gap: where it has more ends, it is left open. */
const MAX_STATES = 10

/**
 * Takes an event into its room, with what it refers to. Throws FederationError when that cannot be had; `retryable` says whether to try again
 * later. https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function takeEvent(app: TakingApp & Pick<App, 'stopping'>, arrived: ArrivedEvent): Promise<RemoteOutcome> {
  const { origin, event } = arrived
  const append = () =>
    withPolicySignature(app, event, (signed, refusal) =>
      app.rooms.run(arrived.roomId, (room) => appendRemoteEvent(app, room, signed, refusal)),
    )
  try {
    return await append()
  } catch (error) {
    if (!(error instanceof MissingEventsError)) throw error
    const source = await sourcesOf(app, arrived, origin)
    if (error.prevIds.length === 0) return appendWithHelp(app, source, { event, statesLeft: { count: 0 } })
    const minDepth = await findBeginDepth(app.database, arrived.roomId)
    await fillGap(app, source, { event, minDepth })
    return appendWithHelp(app, source, {
      event,
      statesLeft: { count: await countHistoric(app, source, { event, minDepth }) },
    })
  }
}

/** An event that has arrived; what has less than this depth is history. */
type Gap = { event: Event; minDepth: number }

/** How many predecessors of an event are older than this server's time in the room: the state after these may be asked for. */
async function countHistoric(app: TakingApp, source: Sources, { event, minDepth }: Gap): Promise<number> {
  const here = await findEventNids(app.database, event.prev_event_ids)
  const missing = event.prev_event_ids
    .filter((id) => typeof here.get(id)?.event_order !== 'number')
    .slice(0, MAX_STATES)
  // It is one deeper than the deepest of them.
  const mayBeHistoric = event.prev_event_ids.length > 1 || event.pdu.depth <= minDepth
  const events = minDepth > 0 && mayBeHistoric ? await askEvents(app, source, missing) : []
  return events.filter(({ pdu }) => pdu.depth < minDepth).length
}

/** Takes in what lies between the room's end, as it is here, and an event. */
async function fillGap(app: TakingApp, source: Sources, gap: Gap): Promise<void> {
  const missed = await fetchGap(app, source, gap)
  await appendAll(app, source, { items: missed.map((each) => ({ event: each })), statesLeft: { count: MAX_STATES } })
}

/**
 * The events of a gap, predecessors first. History from before this server was in the room does not belong to it: what the room is now follows from
 * it already, and if it were taken for the end of a fork, it would undo that.
 */
async function fetchGap(app: TakingApp, source: Sources, { event, minDepth }: Gap): Promise<Event[]> {
  const earliest = (await findRoomHead(app.database, source.roomId))?.forward_extremities ?? []
  const gap = new Map<EventId, Event>()
  let latest = [event.event_id]
  while (latest.length > 0 && gap.size < MAX_GAP) {
    const wanted = { earliest, latest, limit: PAGE, minDepth }
    const page = await fromAny(source, async (one) => {
      const events = await askMissingEvents(app, one, wanted)
      // It need not have the event yet: that says nothing of what comes before it.
      const isAtLoss = events.length === 0 && one.server !== source.server
      if (isAtLoss) throw new FederationError(`${one.server} tells of nothing`, { retryable: false })
      return events
    })
    const fresh = page.filter(
      ({ event_id, pdu }) => event_id !== event.event_id && !gap.has(event_id) && pdu.depth >= minDepth,
    )
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
