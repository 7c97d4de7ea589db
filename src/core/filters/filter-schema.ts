import { z } from 'zod'
import { BadJsonError } from '../errors.ts'

/** Each event of each room is compared with all entries of a list. */
const MAX_ENTRIES = 1000

function listOf(entry: z.ZodString) {
  return z.array(entry).max(MAX_ENTRIES, `must not have more than ${MAX_ENTRIES} entries`)
}

const userIds = listOf(z.string().startsWith('@', 'must be a user id'))
const roomIds = listOf(z.string().startsWith('!', 'must be a room id'))
const strings = listOf(z.string())

const eventFilterShape = {
  /** The maximum number of events. Each endpoint defines what 0 means: some clients send it to request no events. */
  limit: z.int().nonnegative().exactOptional(),
  senders: userIds.exactOptional(),
  not_senders: userIds.exactOptional(),
  types: strings.exactOptional(),
  not_types: strings.exactOptional(),
}

const roomEventFilter = z.looseObject({
  ...eventFilterShape,
  rooms: roomIds.exactOptional(),
  not_rooms: roomIds.exactOptional(),
  contains_url: z.boolean().exactOptional(),
  lazy_load_members: z.boolean().exactOptional(),
  include_redundant_members: z.boolean().exactOptional(),
  unread_thread_notifications: z.boolean().exactOptional(),
  /**
   * Selects events to which other events with these relation types, or of these users, relate. Only the query can
   * evaluate it.
   */
  related_by_rel_types: strings.exactOptional(),
  related_by_senders: userIds.exactOptional(),
})

const eventFilter = z.looseObject(eventFilterShape)

/** The profile fields whose changes a client follows: https://github.com/matrix-org/matrix-spec-proposals/pull/4429 */
export const PROFILE_FIELDS = 'org.matrix.msc4429.profile_fields'

const filter = z.looseObject({
  event_fields: strings.exactOptional(),
  event_format: z.enum(['client', 'federation']).exactOptional(),
  presence: eventFilter.exactOptional(),
  account_data: eventFilter.exactOptional(),
  [PROFILE_FIELDS]: z.looseObject({ ids: strings.exactOptional() }).exactOptional(),
  room: z
    .looseObject({
      rooms: roomIds.exactOptional(),
      not_rooms: roomIds.exactOptional(),
      include_leave: z.boolean().exactOptional(),
      ephemeral: roomEventFilter.exactOptional(),
      state: roomEventFilter.exactOptional(),
      timeline: roomEventFilter.exactOptional(),
      account_data: roomEventFilter.exactOptional(),
    })
    .exactOptional(),
})

/** Filters events that are not in rooms: presence and account data. */
export type EventFilter = z.infer<typeof eventFilter>
/** For events in rooms; also the `filter` of `/messages`, `/context` and `/search`. */
export type RoomEventFilter = z.infer<typeof roomEventFilter>
/** For `/sync`. */
export type Filter = z.infer<typeof filter>

/**
 * Checks a filter of `/sync`; unknown keys stay. Throws BadJsonError with the path.
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function parseFilter(json: unknown): Filter {
  return parse(filter, json)
}

/** Checks the filter of `/messages`, `/context` and `/search` in the same way. */
export function parseRoomEventFilter(json: unknown): RoomEventFilter {
  return parse(roomEventFilter, json)
}

function parse<Out>(schema: z.ZodType<Out>, json: unknown): Out {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0] as z.core.$ZodIssue
  throw new BadJsonError(`Not a filter: ${[...path, message].join(': ')}`)
}
