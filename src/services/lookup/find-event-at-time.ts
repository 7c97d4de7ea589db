import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { type EventId, isEventId, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { loadRoomServers } from '../../storage/rooms/membership/room-servers.ts'
import { loadEventsById } from '../../storage/rooms/timeline/events.ts'
import { findPlacesBefore, loadMissingPrevs } from '../../storage/rooms/timeline/missing-prev-events.ts'
import { loadRoomVersions } from '../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { appendWithHelp, type IngestApp } from '../federation/inbound/append-with-help.ts'
import { sourcesOf } from '../federation/inbound/sources-of.ts'
import { askEvents } from '../federation/requests/ask-for-events.ts'
import { findEventAtTime } from '../rooms/reading/event-at-time.ts'
import { visibleEvents } from '../rooms/reading/visible-events.ts'

type Search = { roomId: RoomId; userId: UserId; ts: number; direction: 'forwards' | 'backwards' }
type Found = { event_id: EventId; origin_server_ts: number }

const SERVERS = 3
const TIMEOUT_MS = 10_000
const MAX_GAPS = 100
const MAX_STATES = 3
/** Distance in event_order between an isolated fetched event and its neighbours. */
const DISTANCE = 2 ** 19

type FindingApp = IngestApp & Pick<App, 'config' | 'database'>

const answer = z.looseObject({ event_id: z.string().refine(isEventId), origin_server_ts: z.int() })

/**
 * As `findEventAtTime`. If missing history may have a nearer event, asks other servers in the room and fetches the
 * event.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
 */
export async function findEventAtTimeAnywhere(app: FindingApp, search: Search): Promise<Found> {
  const local = await findEventAtTime(app, search).catch((error) => {
    if (error instanceof NotFoundError) return undefined
    throw error
  })
  const gap = await gapBeside(app, search, local)
  const remote = gap === undefined ? undefined : await askOthers(app, search, { gap, local })
  const found = remote ?? local
  if (found) return found
  throw new NotFoundError(`There is no event in direction ${search.direction} from this time`)
}

/** Returns the order after the gap in which a nearer event may be missing; undefined if there is none. */
async function gapBeside(
  app: FindingApp,
  { roomId, direction }: Search,
  local: Found | undefined,
): Promise<number | undefined> {
  const everywhere = { roomId, above: -Number.MAX_SAFE_INTEGER, upTo: Number.MAX_SAFE_INTEGER, limit: MAX_GAPS }
  const gaps = (await loadMissingPrevs(app.database, everywhere)).map(({ referrer_order }) => referrer_order)
  if (gaps.length === 0 || !local) return direction === 'forwards' ? gaps[0] : gaps.at(-1)
  const order = (await loadEventsById(app.database, [local.event_id]))[0]?.event_order ?? 0
  return direction === 'forwards' ? gaps.find((gap) => gap <= order) : gaps.findLast((gap) => gap > order)
}

async function askOthers(
  app: FindingApp,
  search: Search,
  { gap, local }: { gap: number; local: Found | undefined },
): Promise<Found | undefined> {
  const { roomId } = search
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  const servers = await loadRoomServers(app.database, roomId, SERVERS + 1)
  if (!version) return undefined
  for (const server of servers.filter((name) => name !== app.serverName).slice(0, SERVERS)) {
    try {
      const found = await ask(app, server, search)
      if (!isNearer(search, found, local)) continue
      const event = await fetchIntoGap(app, server, { version, search, gap, eventId: found.event_id })
      if (event) return { event_id: event.event_id, origin_server_ts: event.pdu.origin_server_ts }
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      app.logger.info({ err: error, server, room_id: roomId }, 'remote timestamp_to_event request failed')
    }
  }
  return undefined
}

async function ask(app: FindingApp, server: ServerName, { roomId, ts, direction }: Search): Promise<Found> {
  const response = answer.safeParse(
    await app.federation.request({
      destination: server,
      method: 'GET',
      path: `/_matrix/federation/v1/timestamp_to_event/${encodeURIComponent(roomId)}`,
      query: { ts, dir: direction === 'forwards' ? 'f' : 'b' },
      timeoutMs: TIMEOUT_MS,
    }),
  )
  if (!response.success) throw new FederationError('The answer is malformed', { retryable: false })
  return response.data as Found
}

function isNearer({ ts, direction }: Search, { origin_server_ts: at }: Found, local: Found | undefined): boolean {
  if (direction === 'forwards' ? at < ts : at > ts) return false
  return !local || Math.abs(at - ts) < Math.abs(local.origin_server_ts - ts)
}

/** Fetches the event, and places it in the middle of the gap. Returns it if the user may see it. */
async function fetchIntoGap(
  app: FindingApp,
  server: ServerName,
  { version, search, gap, eventId }: { version: RoomVersion; search: Search; gap: number; eventId: EventId },
): Promise<StoredEvent | undefined> {
  const { roomId, userId } = search
  const stored = async () => (await loadEventsById(app.database, [eventId]))[0]
  if (typeof (await stored())?.event_order !== 'number') {
    const source = await sourcesOf(app, { roomId, version }, server)
    const [event] = await askEvents(app, source, [eventId])
    if (!event) return undefined
    const { top, bottom } = await findPlacesBefore(app.database, roomId, gap)
    const historyOrder = Math.max(top - DISTANCE, Math.ceil((top + bottom) / 2))
    if (historyOrder > top) return undefined
    await appendWithHelp(app, source, { event, historyOrder, statesLeft: { count: MAX_STATES } })
  }
  const event = await stored()
  const [visible] = event && !event.soft_failed ? await visibleEvents(app, userId, [event]) : []
  return visible
}
