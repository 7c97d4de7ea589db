import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { RoomEventFilter } from '../../core/filters/filter-schema.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Work } from '../../core/text/glob.ts'
import { containsRuns } from '../../core/text/search-tokens.ts'
import { searchableText } from '../../core/text/searchable-text.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { type EventSearch, findEvents, type SearchHit, type SearchPlace } from '../../storage/search/search-index.ts'
import { accessRoom, type RoomAccess } from '../rooms/access/room-access.ts'
import { eventFilter } from '../rooms/reading/timeline-filter.ts'
import { visibleEvents } from '../rooms/reading/visible-events.ts'

/** A result, before formatting. */
export type FoundMessage = { event: StoredEvent; access: RoomAccess; place: SearchPlace; wordCount: number }

export type FindCommand = {
  userId: UserId
  search: EventSearch
  /** Strings that the events must contain literally. */
  runs: readonly string[]
  filter: RoomEventFilter
  limit: number
}

/** Maximum number of invisible events skipped per response. */
const MAX_LOOKED_AT = 2000
/** Maximum number of characters compared for a term without spaces: some 0.1 s. */
const MAX_STEPS = 50_000_000

/** Finds the next events that match the term and the filter and that the user may see. */
export async function findMessages(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: FindCommand,
): Promise<FoundMessage[]> {
  const { limit } = command
  const accesses = new Map<RoomId, RoomAccess | undefined>()
  const found: FoundMessage[] = []
  const work = { left: MAX_STEPS }
  let after = command.search.after
  for (let looked = 0; looked < MAX_LOOKED_AT && work.left > 0; ) {
    const batch = Math.max(limit - found.length, looked === 0 ? 0 : 100)
    const search = { ...command.search, after }
    const hits = await app.reading.inTurn(command.userId, () => findEvents(app.database, search, batch))
    found.push(...(await takenOf(app, { ...command, work }, hits, accesses)))
    const last = hits.at(-1)
    if (found.length >= limit || hits.length < batch || !last) break
    after = placeOf(last)
    looked += hits.length
  }
  return found.slice(0, limit)
}

async function takenOf(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  { userId, filter, runs, work }: FindCommand & { work: Work },
  hits: readonly SearchHit[],
  accesses: Map<RoomId, RoomAccess | undefined>,
): Promise<FoundMessage[]> {
  const takes = eventFilter(filter)
  const loaded = await loadEvents(
    app.database,
    hits.map((hit) => hit.event_nid),
  )
  const wanted = [...loaded.values()].filter((event) => takes(event) && isMatch(event, runs, work))
  const visible = new Set(await visibleEvents(app, userId, wanted))
  const found: FoundMessage[] = []
  for (const hit of hits) {
    const event = loaded.get(hit.event_nid)
    if (!event || !visible.has(event)) continue
    if (!accesses.has(event.room_id)) accesses.set(event.room_id, await accessOf(app, event.room_id, userId))
    const access = accesses.get(event.room_id)
    if (access) found.push({ event, access, place: placeOf(hit), wordCount: hit.word_count })
  }
  return found
}

/** Recently redacted events may still be in the index. */
function isMatch(event: StoredEvent, runs: readonly string[], work: Work): boolean {
  const text = event.redacted_by === null ? searchableText(event.pdu)?.text : undefined
  return text !== undefined && containsRuns(text, runs, work)
}

async function accessOf(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<RoomAccess | undefined> {
  try {
    return await accessRoom(app, roomId, userId)
  } catch (error) {
    if (error instanceof ForbiddenError) return undefined
    throw error
  }
}

function placeOf(hit: SearchHit): SearchPlace {
  return { value: hit.value, nid: hit.event_nid }
}
