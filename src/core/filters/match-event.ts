import { compileWildcard, type Glob } from '../text/glob.ts'
import type { EventFilter, RoomEventFilter } from './filter-schema.ts'

/** The fields of an event that filters match; account data and ephemeral events have no sender. */
export type FilteredEvent = {
  readonly type: string
  readonly sender?: string | undefined
  readonly room_id?: string | undefined
  readonly content: object
}

/**
 * Compiles the types and senders of a filter; call it once per request.
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function compileEventFilter(filter: EventFilter): (event: FilteredEvent) => boolean {
  const takesType = compileList(filter.types, filter.not_types, anyOfTypes)
  const takesSender = compileList(filter.senders, filter.not_senders, anyOfIds)
  return (event) => takesType(event.type) && takesSender(event.sender)
}

/**
 * Compiles a room event filter except `limit`, lazy loading and `related_by_*`, which do not concern single events.
 * Call it once per request.
 */
export function compileRoomEventFilter(filter: RoomEventFilter): (event: FilteredEvent) => boolean {
  const takesEvent = compileEventFilter(filter)
  const takesRoom = compileRoomFilter(filter)
  const { contains_url } = filter
  return (event) =>
    takesEvent(event) &&
    takesRoom(event.room_id) &&
    (contains_url === undefined || Object.hasOwn(event.content, 'url') === contains_url)
}

/** Compiles `rooms` and `not_rooms` of the whole `room` filter or of one part. */
export function compileRoomFilter(
  filter: Pick<RoomEventFilter, 'rooms' | 'not_rooms'>,
): (roomId: string | undefined) => boolean {
  return compileList(filter.rooms, filter.not_rooms, anyOfIds)
}

type Test = (value: string | undefined) => boolean

/** Matches values in the first list, if given, that are not in the second. */
function compileList(
  included: string[] | undefined,
  excluded: string[] | undefined,
  compile: (list: string[]) => Test,
): Test {
  const isIncluded = included ? compile(included) : () => true
  const isExcluded = excluded ? compile(excluded) : () => false
  return (value) => isIncluded(value) && !isExcluded(value)
}

function anyOfIds(ids: string[]): Test {
  const set = new Set<string | undefined>(ids)
  return (id) => set.has(id)
}

function anyOfTypes(types: string[]): Test {
  const isListed = anyOfIds(types)
  const wildcards: Glob[] = types.filter((type) => type.includes('*')).map(compileWildcard)
  if (wildcards.length === 0) return isListed
  // A filter may have many patterns and is applied to many events of few types.
  const known = new Map<string, boolean>()
  return (type) => {
    if (type === undefined) return false
    const taken = known.get(type) ?? (isListed(type) || wildcards.some((matches) => matches(type)))
    if (known.size < MAX_KNOWN) known.set(type, taken)
    return taken
  }
}

const MAX_KNOWN = 1000
