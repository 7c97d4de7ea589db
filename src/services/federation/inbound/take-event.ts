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
import { withPolicySignature } from '../trust/with-policy-signature.ts'
import { appendAll, appendWithHelp, type TakingApp } from './append-with-help.ts'
import { fromAny, type Sources } from './fetch-references.ts'
import { sourcesOf } from './sources-of.ts'

/** An event of another server whose signatures and hash are verified. */
export type ArrivedEvent = { origin: ServerName; roomId: RoomId; version: RoomVersion; event: Event }

/** Events that are fetched to fill the gap before an event; what is older stays a gap that /messages may fill. */
const MAX_GAP = 200
const PAGE = 20
/** Events of a gap that are asked for one by one. */
const MAX_SINGLE = 20
/** States that are fetched for one gap: where it has more ends, it is left open. */
const MAX_STATES = 10

/**
 * Takes an event into its room, with what it refers to. Throws FederationError when that cannot be had; `retryable`
 * says whether to try again later.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
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
    await fillGap(app, source, { event, minDepth: await findBeginDepth(app.database, arrived.roomId) })
    return appendWithHelp(app, source, { event, statesLeft: { count: MAX_STATES } })
  }
}

/** An event that has arrived; what has less than this depth is history. */
type Gap = { event: Event; minDepth: number }

/** Takes in what lies between the room's end, as it is here, and an event. */
async function fillGap(app: TakingApp, source: Sources, gap: Gap): Promise<void> {
  const missed = await fetchGap(app, source, gap)
  await appendAll(app, source, { items: missed.map((each) => ({ event: each })), statesLeft: { count: MAX_STATES } })
}

/**
 * The events of a gap, predecessors first. History from before this server was in the room does not belong to it: what
 * the room is now follows from it already, and if it were taken for the end of a fork, it would undo that.
 */
async function fetchGap(app: TakingApp, source: Sources, { event, minDepth }: Gap): Promise<Event[]> {
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
/** `add`: returns those that are new. */
type FillingGap = Gap & { gap: GapEvents; add(events: readonly Event[]): Event[] }

async function fetchPages(app: TakingApp, source: Sources, { event, minDepth, gap, add }: FillingGap): Promise<void> {
  const earliest = (await findRoomHead(app.database, source.roomId))?.forward_extremities ?? []
  let latest = [event.event_id]
  while (latest.length > 0 && gap.size < MAX_GAP) {
    const { page, hasInvalid } = await askPage(app, source, { earliest, latest, limit: PAGE, minDepth })
    const fresh = add(page)
    // It tells what comes before, which nobody may follow.
    if (hasInvalid && page.length === 0 && gap.size === 0)
      throw new FederationError(`${event.event_id} follows events that are not valid`, { retryable: false })
    // Fewer than asked for: the server has no more, or does not want to tell.
    latest = page.length < PAGE ? [] : await openEnds(app, gap, fresh)
  }
}

/** No events where servers answer and do not tell; `hasInvalid`: there were some that are not valid. */
async function askPage(
  app: TakingApp,
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
      // It need not have the event yet: that says nothing of what comes before it.
      const isAtLoss = events.length === 0 && one.server !== source.server
      if (isAtLoss) throw new FederationError(`${one.server} tells of nothing`, { retryable: false })
      return events
    })
    return { page, hasInvalid }
  } catch (error) {
    if (!(error instanceof FederationError) || error.retryable) throw error
    app.logger.info({ err: error, room_id: source.roomId }, 'a gap is asked for event by event')
    return { page: [], hasInvalid }
  }
}

/** Some servers answer nothing about a gap, or always the same, but have its events. */
async function fetchOneByOne(
  app: TakingApp,
  source: Sources,
  { event, minDepth, gap, add }: FillingGap,
): Promise<void> {
  let latest: readonly Event[] = [event, ...gap.values()]
  for (let left = MAX_SINGLE; left > 0 && latest.length > 0; ) {
    // An event is deeper than those before it.
    const reaching = latest.filter(({ pdu }) => pdu.depth > minDepth)
    const wanted = (await missingBefore(app, gap, reaching)).slice(0, left)
    left -= wanted.length
    latest = wanted.length > 0 ? add(await askEvents(app, source, wanted)) : []
  }
}

/** Those of the events just got that follow events which are neither here nor among those got. */
async function openEnds(app: TakingApp, gap: GapEvents, fresh: readonly Event[]): Promise<EventId[]> {
  const unknown = new Set(await missingBefore(app, gap, fresh))
  return fresh.filter((event) => event.prev_event_ids.some((id) => unknown.has(id))).map(({ event_id }) => event_id)
}

/** What some events follow, and is neither here nor among the events of the gap. */
async function missingBefore(app: TakingApp, gap: GapEvents, events: readonly Event[]): Promise<EventId[]> {
  const unknown = new Set(events.flatMap((event) => event.prev_event_ids).filter((id) => !gap.has(id)))
  for (const [id, { event_order }] of await findEventNids(app.database, [...unknown])) {
    if (event_order !== null) unknown.delete(id)
  }
  return [...unknown]
}
