import type { App } from '../../../app.ts'
import type { EventId, RoomId, ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { topologicalOrder } from '../../../core/rooms/topological-order.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { findEventNids } from '../../../storage/rooms/timeline/event-nids.ts'
import { findBeginDepth, findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { appendRemoteEvent, MissingEventsError, type RemoteOutcome } from '../../rooms/timeline/append-remote-event.ts'
import { askEvents, askMissingEvents } from '../requests/ask-for-events.ts'
import { withApproval } from '../trust/with-approval.ts'
import { appendAll, appendWithHelp, type IngestApp } from './append-with-help.ts'
import { fromAny, type Sources } from './fetch-references.ts'
import { sourcesOf } from './sources-of.ts'

/** An event of another server with verified signatures and hash. */
export type ArrivedEvent = { origin: ServerName; roomId: RoomId; version: RoomVersion; event: Event }

/** Maximum number of events fetched to fill the gap before an event; /messages may fill older gaps. */
const MAX_GAP = 200
const PAGE = 20
/** Maximum number of events of a gap that are requested one by one. */
const MAX_SINGLE = 20
/** Maximum number of states fetched for one gap: with more open ends, it stays open. */
const MAX_STATES = 10

/**
 * Ingests an event into its room, with the events that it references. Throws FederationError if these are unavailable;
 * `retryable` says whether to retry later.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function ingestEvent(
  app: IngestApp & Pick<App, 'stopping'>,
  arrived: ArrivedEvent,
): Promise<RemoteOutcome> {
  const { origin, event } = arrived
  const append = () =>
    withApproval(app, event, (signed, refusal) =>
      app.rooms.run(arrived.roomId, (room) => appendRemoteEvent(app, room, signed, refusal)),
    )
  try {
    return await append()
  } catch (error) {
    if (!(error instanceof MissingEventsError)) throw error
    const source = await sourcesOf(app, arrived, origin)
    if (error.prevIds.length === 0) return appendWithHelp(app, source, { event, statesLeft: { count: 0 } })
    await fillGap(app, source, { event, minDepth: await findBeginDepth(app.database, arrived.roomId) })
    return appendWithHelp(app, source, { event, statesLeft: { count: MAX_STATES } })
  }
}

/** An arrived event; events with less than this depth are history. */
type Gap = { event: Event; minDepth: number }

/** Ingests the events between the room's forward extremities and an event. */
async function fillGap(app: IngestApp, source: Sources, gap: Gap): Promise<void> {
  const missed = await fetchGap(app, source, gap)
  await appendAll(app, source, { items: missed.map((each) => ({ event: each })), statesLeft: { count: MAX_STATES } })
}

/**
 * Fetches the events of a gap in topological order. History from before this server joined is not part of it: the
 * current state already includes it, and treating it as a fork would revert state.
 */
async function fetchGap(app: IngestApp, source: Sources, { event, minDepth }: Gap): Promise<Event[]> {
  const gap: GapEvents = new Map()
  const add = (events: readonly Event[]) => {
    const fresh = events.filter(
      ({ event_id, pdu }) => event_id !== event.event_id && !gap.has(event_id) && pdu.depth >= minDepth,
    )
    for (const missed of fresh) gap.set(missed.event_id, missed)
    return fresh
  }
  await fetchPages(app, source, { event, minDepth, gap, add })
  if (gap.size < MAX_GAP) await fetchOneByOne(app, source, { event, minDepth, gap, add })
  const here = await findEventNids(app.database, [...gap.keys()])
  return topologicalOrder(gap, (missed) => missed.prev_event_ids).filter(
    ({ event_id }) => typeof here.get(event_id)?.event_order !== 'number',
  )
}

type GapEvents = Map<EventId, Event>
/** `add` returns the new events. */
type FillingGap = Gap & { gap: GapEvents; add(events: readonly Event[]): Event[] }

async function fetchPages(app: IngestApp, source: Sources, { event, minDepth, gap, add }: FillingGap): Promise<void> {
  const earliest = (await findRoomHead(app.database, source.roomId))?.forward_extremities ?? []
  let latest = [event.event_id]
  while (latest.length > 0 && gap.size < MAX_GAP) {
    const { page, hasInvalid } = await askPage(app, source, { earliest, latest, limit: PAGE, minDepth })
    const fresh = add(page)
    // The server returned only invalid prev events, which no event may follow.
    if (hasInvalid && page.length === 0 && gap.size === 0)
      throw new FederationError(`${event.event_id} follows events that are not valid`, { retryable: false })
    // Fewer than requested: the server has no more, or withholds them.
    latest = page.length < PAGE ? [] : await openEnds(app, gap, fresh)
  }
}

/** Returns no events if servers answer without any; `hasInvalid`: some were invalid. */
async function askPage(
  app: IngestApp,
  source: Sources,
  wanted: Parameters<typeof askMissingEvents>[2],
): Promise<{ page: Event[]; hasInvalid: boolean }> {
  let hasInvalid = false
  const onInvalid = () => {
    hasInvalid = true
  }
  try {
    const page = await fromAny(source, async (one) => {
      const events = await askMissingEvents(app, one, wanted, onInvalid)
      // Another server may lack the event, which says nothing about its prev events.
      const isAtLoss = events.length === 0 && one.server !== source.server
      if (isAtLoss) throw new FederationError(`${one.server} returned no missing events`, { retryable: false })
      return events
    })
    return { page, hasInvalid }
  } catch (error) {
    if (!(error instanceof FederationError) || error.retryable) throw error
    app.logger.info({ err: error, room_id: source.roomId }, 'get_missing_events failed, requesting events one by one')
    return { page: [], hasInvalid }
  }
}

/** Some servers answer nothing about a gap, or always the same, but return its events singly. */
async function fetchOneByOne(
  app: IngestApp,
  source: Sources,
  { event, minDepth, gap, add }: FillingGap,
): Promise<void> {
  let latest: readonly Event[] = [event, ...gap.values()]
  for (let left = MAX_SINGLE; left > 0 && latest.length > 0; ) {
    // An event is deeper than its prev events.
    const reaching = latest.filter(({ pdu }) => pdu.depth > minDepth)
    const wanted = (await missingBefore(app, gap, reaching)).slice(0, left)
    left -= wanted.length
    latest = wanted.length > 0 ? add(await askEvents(app, source, wanted)) : []
  }
}

/** Returns those of the new events that have missing prev events. */
async function openEnds(app: IngestApp, gap: GapEvents, fresh: readonly Event[]): Promise<EventId[]> {
  const unknown = new Set(await missingBefore(app, gap, fresh))
  return fresh.filter((event) => event.prev_event_ids.some((id) => unknown.has(id))).map(({ event_id }) => event_id)
}

/** Returns the prev events of some events that are neither stored nor in the gap. */
async function missingBefore(app: IngestApp, gap: GapEvents, events: readonly Event[]): Promise<EventId[]> {
  const unknown = new Set(events.flatMap((event) => event.prev_event_ids).filter((id) => !gap.has(id)))
  for (const [id, { event_order }] of await findEventNids(app.database, [...unknown])) {
    if (event_order !== null) unknown.delete(id)
  }
  return [...unknown]
}
