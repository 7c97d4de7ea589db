import { compileWildcard, type Glob } from '../text/glob.ts'
import type { EventFilter, RoomEventFilter } from './filter-schema.ts'

/** The parts of an event that filters look at; account data and ephemeral events have no sender. */
export type FilteredEvent = {
  readonly type: string
  readonly sender?: string | undefined
  readonly room_id?: string | undefined
  readonly content: object
}

/**
 * Whether the types and senders of a filter take an event. Compile once for each request.
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function compileEventFilter(filter: EventFilter): (event: FilteredEvent) => boolean {
  const takesType = compileList(filter.types, filter.not_types, anyOfTypes)
  const takesSender = compileList(filter.senders, filter.not_senders, anyOfIds)
  return (event) => takesType(event.type) && takesSender(event.sender)
}

/**
 * Whether a room event filter takes an event, `limit`, lazy loading and `related_by_*` aside: those are no matter of
 * one event. Compile once for each request.
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

/** Whether `rooms` and `not_rooms` take a room, of the whole `room` filter or of one part. */
export function compileRoomFilter(
  filter: Pick<RoomEventFilter, 'rooms' | 'not_rooms'>,
): (roomId: string | undefined) => boolean {
  return compileList(filter.rooms, filter.not_rooms, anyOfIds)
}

type Test = (value: string | undefined) => boolean

/** What is in the one list, where there is one, and not in the other. */
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
  // A filter may have many patterns, and is put to many events of few types.
  const known = new Map<string, boolean>()
  return (type) => {
    if (type === undefined) return false
    const taken = known.get(type) ?? (isListed(type) || wildcards.some((matches) => matches(type)))
    if (known.size < MAX_KNOWN) known.set(type, taken)
    return taken
  }
}

const MAX_KNOWN = 1000
