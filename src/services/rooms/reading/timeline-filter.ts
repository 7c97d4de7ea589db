import { BadJsonError } from '../../../core/errors.ts'
import { parseRoomEventFilter, type RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import { compileRoomEventFilter, compileRoomFilter } from '../../../core/filters/match-event.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { TimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/**
 * Parses the `filter` of a query string. Throws M_BAD_JSON. https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function filterFromQuery(filter: string | undefined): RoomEventFilter {
  if (filter === undefined) return {}
  let json: unknown
  try {
    json = JSON.parse(filter)
  } catch {
    throw new BadJsonError('The filter is not JSON')
  }
  return parseRoomEventFilter(json)
}

/** Returns whether a filter can match events of a room. */
export function wantsRoom(filter: RoomEventFilter, roomId: RoomId): boolean {
  return compileRoomFilter(filter)(roomId)
}

/** Returns the part of a filter that the database applies; its results still have to pass `eventFilter`. */
export function pageConditions(filter: RoomEventFilter): Partial<TimelinePage> {
  return {
    ...eventConditions(filter),
    relatedByRelTypes: stringList(filter.related_by_rel_types),
    relatedBySenders: stringList(filter.related_by_senders),
    // MSC3874, with which clients read a room without its threads.
    relTypes: stringList(filter['org.matrix.msc3874.rel_types']),
    notRelTypes: nonEmpty(filter['org.matrix.msc3874.not_rel_types']),
  }
}

/** As `pageConditions`, limited to what depends on the event alone. */
export function eventConditions(filter: RoomEventFilter): Partial<TimelinePage> {
  return {
    types: stringList(filter.types)?.map(likePattern),
    notTypes: nonEmpty(filter.not_types)?.map(likePattern),
    senders: stringList(filter.senders),
    notSenders: nonEmpty(filter.not_senders),
    ...(filter.contains_url && { mentionsUrl: true }),
  }
}

/** Returns whether a filter matches an event, as far as it depends on the event alone. */
export function eventFilter(filter: RoomEventFilter): (event: StoredEvent) => boolean {
  const takes = compileRoomEventFilter(filter)
  return ({ room_id, pdu }) => takes({ type: pdu.type, sender: pdu.sender, room_id, content: pdu.content })
}

function likePattern(type: string): string {
  return type.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%')
}

function nonEmpty(value: unknown): string[] | undefined {
  const list = stringList(value)
  return list && list.length > 0 ? list : undefined
}

/** Drops values that no event can have and the database cannot store. */
function stringList(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return undefined
  return value.filter((item) => !item.includes('\0'))
}
