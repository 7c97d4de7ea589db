import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { topologicalOrder } from '../../../core/rooms/topological-order.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import { findEventNids } from '../../../storage/rooms/timeline/event-nids.ts'
import {
  findPlacesBefore,
  loadMissingPrevs,
  type MissingPrev,
} from '../../../storage/rooms/timeline/missing-prev-events.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import { askBackfill } from '../requests/ask-for-events.ts'
import { appendAll, type IngestApp } from './append-with-help.ts'
import { sourcesOf } from './sources-of.ts'

export type BackfillingApp = IngestApp & Pick<App, 'clock' | 'inbound'>

const PAGE = 100
const SERVERS = 4
/** Number of events whose prev events are requested together. */
const MAX_GAPS = 5
const MAX_STATES = 4
/**
 * Back-off after no server had events for a gap. If servers could not be reached, it is as long as the attempt took:
 * servers that recover quickly are asked again quickly.
 */
const BACK_OFF_MS = 60_000
const SHORTEST_BACK_OFF_MS = 500

/**
 * Backfills history missing before events between two orders of a room's timeline (the upper one included). Returns
 * whether there is more now. Asks several servers in turn.
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 */
export function backfillRoom(
  app: BackfillingApp,
  range: { roomId: RoomId; above: number; upTo: number },
): Promise<boolean> {
  return app.inbound.backfills.once(range.roomId, () => backfill(app, range))
}

async function backfill(app: BackfillingApp, range: { roomId: RoomId; above: number; upTo: number }): Promise<boolean> {
  const missing = await loadMissingPrevs(app.database, { ...range, limit: MAX_GAPS })
  const gaps = missing.filter(({ event_id }) => !app.inbound.backfills.isInBackOff(event_id))
  const version = (await loadRoomVersions(app.database, [range.roomId])).get(range.roomId)
  if (gaps.length === 0 || !version) return false
  const servers = await loadRoomServers(app.database, range.roomId, SERVERS + 1)
  const start = app.clock.now()
  let hasFailed = false
  for (const server of servers.filter((name) => name !== app.serverName).slice(0, SERVERS)) {
    try {
      if (await backfillFrom(app, server, { roomId: range.roomId, version, gaps })) return true
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      app.logger.info({ err: error, server, room_id: range.roomId }, 'remote backfill request failed')
      hasFailed ||= error.retryable
    }
  }
  const tookMs = Math.max(app.clock.now() - start, SHORTEST_BACK_OFF_MS)
  for (const { event_id } of gaps)
    app.inbound.backfills.backOff(event_id, hasFailed ? Math.min(tookMs, BACK_OFF_MS) : BACK_OFF_MS)
  return false
}

async function backfillFrom(
  app: BackfillingApp,
  server: ServerName,
  { roomId, version, gaps }: { roomId: RoomId; version: RoomVersion; gaps: readonly MissingPrev[] },
): Promise<boolean> {
  const source = await sourcesOf(app, { roomId, version }, server)
  const { top, bottom } = await findPlacesBefore(app.database, roomId, gaps[0]!.referrer_order)
  // Gaps further down are filled there.
  const from = gaps.filter(({ referrer_order }) => referrer_order > top).map(({ event_id }) => event_id)
  const events = await askBackfill(app, source, { from, limit: PAGE })
  const fresh = await inOrder(app, events)
  const kept = fresh.slice(-Math.max(0, top - bottom + 1))
  const items = kept.map((event, place) => ({ event, historyOrder: top - kept.length + 1 + place }))
  await appendAll(app, source, { items, statesLeft: { count: MAX_STATES } })
  const ids = kept.map(({ event_id }) => event_id)
  return [...(await findEventNids(app.database, ids)).values()].some(({ event_order }) => event_order !== null)
}

/**
 * Returns the events that are not in the timeline, oldest first. If one of them is in the timeline, only later ones:
 * the others belong before it.
 */
async function inOrder(app: BackfillingApp, events: readonly Event[]): Promise<Event[]> {
  const byId = new Map(events.map((event) => [event.event_id, event]))
  const here = await findEventNids(app.database, [...byId.keys()])
  const isHere = ({ event_id }: Event) => typeof here.get(event_id)?.event_order === 'number'
  // The response is newest first: reversing it breaks ties of the topological order.
  const sorted = topologicalOrder(new Map([...byId].reverse()), (event) => event.prev_event_ids)
  const newest = sorted.slice(sorted.findLastIndex(isHere) + 1)
  return newest.length > 0 ? newest : sorted.filter((event) => !isHere(event))
}
