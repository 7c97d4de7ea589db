import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { DeviceId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { accessAs, type RoomReading } from '../access/administrator-access.ts'
import { orderOfToken } from './room-points.ts'
import { serveEvents, serveStateEvents } from './serve-events.ts'
import { readVisiblePage } from './visible-pages.ts'

export type MessagesCommand = RoomReading & {
  deviceId: DeviceId | null
  direction: 'forwards' | 'backwards'
  /** Tokens; default: from the end or the beginning of the room, without a limit. */
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  filter: RoomEventFilter
}

export type Messages = { start: string; end?: string; chunk: ClientEvent[]; state?: ClientEvent[] }

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 1000

/**
 * Returns one page of a room's history that the user may see. Throws M_FORBIDDEN, and M_INVALID_PARAM for unknown
 * tokens.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 */
export async function readMessages(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: MessagesCommand,
): Promise<Messages> {
  const { roomId, direction, filter } = command
  const access = await accessAs(app, command)
  const from = command.from === undefined ? undefined : await orderOfToken(app, roomId, command.from)
  const to = command.to === undefined ? undefined : await orderOfToken(app, roomId, command.to)
  const end = direction === 'backwards' ? access.lastOrder : -Number.MAX_SAFE_INTEGER
  const limit = Math.min(command.limit ?? filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const page = await readVisiblePage(app, {
    access,
    userId: command.userId,
    direction,
    from: from ?? end,
    to,
    limit,
    bytes: app.config.limits.answers.page,
    filter,
  })
  // Beyond the last event that matches a filter there may be others that were not looked at: the next page, possibly
  // empty, starts there. Forwards, new events will arrive: a reader at the end continues from there later, as with
  // Synapse.
  const goesOn = direction === 'forwards' || isSelective(filter)
  const next = page.next ?? (goesOn ? pointBeyond(direction, page.events.at(-1)) : undefined)
  return {
    start: command.from ?? startToken(direction, access.lastOrder, page.events[0]),
    ...(next !== undefined && { end: paginationToken(next) }),
    chunk: await serveEvents(app, { ...command, events: page.events, bundle: true }),
    ...(filter.lazy_load_members && { state: await membersFor(app, command, page.events) }),
  }
}

function isSelective({ limit, lazy_load_members, include_redundant_members, ...selection }: RoomEventFilter): boolean {
  return Object.keys(selection).length > 0
}

function pointBeyond(direction: MessagesCommand['direction'], last: StoredEvent | undefined): number | undefined {
  if (!last) return undefined
  return direction === 'forwards' ? last.event_order! : last.event_order! - 1
}

function startToken(
  direction: MessagesCommand['direction'],
  lastOrder: number,
  first: StoredEvent | undefined,
): string {
  if (direction === 'backwards') return paginationToken(lastOrder)
  return paginationToken(first ? first.event_order! - 1 : 0)
}

/** Returns the member events of a page's senders as of its first event. */
async function membersFor(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: MessagesCommand,
  events: readonly StoredEvent[],
): Promise<ClientEvent[]> {
  const root = events[0]?.state_after
  if (!root) return []
  const senders = new Set(events.map((event) => event.pdu.sender))
  const members = await readStateEvents(
    app.database,
    root,
    [...senders].map((sender) => ({ type: 'm.room.member', state_key: sender })),
  )
  return serveStateEvents(app, { ...command, events: members.filter((member) => member !== undefined) })
}
