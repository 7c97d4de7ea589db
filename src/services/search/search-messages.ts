import type { App } from '../../app.ts'
import type { ClientEvent } from '../../core/events/client-event.ts'
import type { RoomEventFilter } from '../../core/filters/filter-schema.ts'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import { highlightWords, searchQuery } from '../../core/text/search-tokens.ts'
import type { SearchableKey } from '../../core/text/searchable-text.ts'
import { loadUserMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { readAllState } from '../../storage/rooms/timeline/room-state.ts'
import { stateBudget } from '../../storage/rooms/timeline/state-budget.ts'
import { countEvents, type EventSearch } from '../../storage/search/search-index.ts'
import { loadIgnoredUsers } from '../../storage/users/ignored-users.ts'
import { serveEvents, serveStateEvents } from '../rooms/reading/serve-events.ts'
import { pageConditions, wantsRoom } from '../rooms/reading/timeline-filter.ts'
import { type FoundMessage, findMessages } from './find-messages.ts'
import { catchUpIndex } from './index-stream.ts'
import { type ContextWanted, type ResultContext, resultContext } from './result-context.ts'
import { type GroupKey, parseSearchToken, type SearchToken, searchToken } from './search-token.ts'

export type SearchCommand = {
  userId: UserId
  deviceId: DeviceId | null
  term: string
  keys: readonly SearchableKey[]
  filter: RoomEventFilter
  order: 'recent' | 'rank'
  /** Undefined: none. */
  context: ContextWanted | undefined
  includeState: boolean
  groupBy: readonly GroupKey[]
  nextBatch: string | undefined
}

type Group = { results: string[]; order: number; next_batch?: string }

export type SearchAnswer = {
  count: number
  highlights: string[]
  results: { rank: number; result: ClientEvent; context?: ResultContext }[]
  next_batch?: string
  groups?: Record<string, Record<string, Group>>
  state?: Record<string, ClientEvent[]>
}

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 100
/** Further words of a search term are ignored. */
const MAX_WORDS = 32
const MAX_COUNT = 10_000

/**
 * Searches messages, names and topics that have all words of a term, in the user's current and former rooms, as far as
 * the user may see them. Throws M_INVALID_PARAM for unknown tokens.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search
 */
export async function searchMessages(
  app: Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'reading'>,
  command: SearchCommand,
): Promise<SearchAnswer> {
  const from = command.nextBatch === undefined ? undefined : parseSearchToken(command.nextBatch)
  const { tokens, runs } = searchQuery(command.term)
  const highlights = highlightWords(command.term)
  if (tokens.length === 0) return { count: 0, highlights, results: [] }
  await catchUpIndex(app)
  const search = await searchOf(app, command, tokens.slice(0, MAX_WORDS), from)
  const limit = Math.min(command.filter.limit || DEFAULT_LIMIT, MAX_LIMIT)
  const { userId, filter } = command
  const [found, count] = await Promise.all([
    findMessages(app, { userId, search, runs, filter, limit }),
    countEvents(app.database, search, MAX_COUNT),
  ])
  const last = found.length === limit ? found.at(-1) : undefined
  return {
    count,
    highlights,
    results: await resultsOf(app, command, found, search.tokens.length),
    ...(last && { next_batch: searchToken({ place: last.place, group: from?.group }) }),
    ...(command.groupBy.length > 0 && { groups: groupsOf(command.groupBy, found, last !== undefined) }),
    ...(command.includeState && { state: await statesOf(app, command, found) }),
  }
}

async function searchOf(
  app: Pick<App, 'database'>,
  { userId, filter, keys, order }: SearchCommand,
  tokens: readonly string[],
  from: SearchToken | undefined,
): Promise<EventSearch> {
  const memberships = await loadUserMemberships(app.database, userId, ['join', 'leave', 'ban'])
  const ignored = await loadIgnoredUsers(app.database, userId)
  const { senders, notSenders = [] } = pageConditions(filter)
  const group = from?.group
  const isOfGroup = (roomId: RoomId) => group?.key !== 'room_id' || group.value === roomId
  return {
    tokens,
    roomIds: memberships.map(({ room_id }) => room_id).filter((id) => wantsRoom(filter, id) && isOfGroup(id)),
    keys,
    senders: group?.key === 'sender' ? [group.value].filter((sender) => senders?.includes(sender) ?? true) : senders,
    notSenders: [...notSenders, ...ignored],
    order,
    after: from?.place,
  }
}

/** The rank is the share of the event's words that are in the term. */
async function resultsOf(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  { userId, deviceId, context }: SearchCommand,
  found: readonly FoundMessage[],
  tokenCount: number,
): Promise<SearchAnswer['results']> {
  const served = await serveEvents(app, { events: found.map(({ event }) => event), userId, deviceId, bundle: true })
  const results: SearchAnswer['results'] = []
  const bytes = Math.floor(app.config.limits.answers.page / Math.max(1, found.length))
  for (const [place, message] of found.entries()) {
    results.push({
      rank: Math.min(1, tokenCount / message.wordCount),
      result: served[place]!,
      ...(context && { context: await resultContext(app, message, { userId, deviceId, context, bytes }) }),
    })
  }
  return results
}

function groupsOf(
  keys: readonly GroupKey[],
  found: readonly FoundMessage[],
  hasMore: boolean,
): NonNullable<SearchAnswer['groups']> {
  return Object.fromEntries(
    [...new Set(keys)].map((key) => {
      const groups: Record<string, Group> = {}
      for (const { event, place } of found) {
        const value = key === 'room_id' ? event.room_id : event.pdu.sender
        groups[value] ??= { results: [], order: Object.keys(groups).length + 1 }
        groups[value].results.push(event.event_id)
        if (hasMore) groups[value].next_batch = searchToken({ place, group: { key, value } })
      }
      return [key, groups]
    }),
  )
}

async function statesOf(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  { userId, deviceId }: SearchCommand,
  found: readonly FoundMessage[],
): Promise<NonNullable<SearchAnswer['state']>> {
  const roots = new Map(found.map(({ access }) => [access.roomId, access.stateRoot]))
  const states: NonNullable<SearchAnswer['state']> = {}
  const budget = stateBudget(app.config.limits.answers.room_state)
  for (const [roomId, root] of roots) {
    const events = await readAllState(app.database, root, 'all', budget)
    states[roomId] = await serveStateEvents(app, { events, userId, deviceId })
  }
  return states
}
