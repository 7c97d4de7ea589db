import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { DeviceId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { readAllState, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import { stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { type EventCommand, findVisibleEvent } from './read-event.ts'
import { serveEvents, serveStateEvents } from './serve-events.ts'
import { eventFilter } from './timeline-filter.ts'
import { readVisiblePage } from './visible-pages.ts'

export type ContextCommand = EventCommand & {
  deviceId: DeviceId | null
  limit?: number | undefined
  filter: RoomEventFilter
}

export type EventContext = {
  start: string
  end: string
  event: ClientEvent
  events_before: ClientEvent[]
  events_after: ClientEvent[]
  state: ClientEvent[]
}

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 200

/**
 * Returns the events around an event: half of the limit before it, the rest after it. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid
 */
export async function readContext(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: ContextCommand,
): Promise<EventContext> {
  const { event, access } = await findVisibleEvent(app, command)
  const limit = Math.min(command.limit ?? command.filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const half = Math.floor(limit / 2)
  const order = event.event_order!
  const { page: bytes } = app.config.limits.answers
  const around = { access, userId: command.userId, filter: command.filter, bytes }
  const before = (await readVisiblePage(app, { ...around, direction: 'backwards', from: order - 1, limit: half }))
    .events
  const after = (await readVisiblePage(app, { ...around, direction: 'forwards', from: order, limit: limit - half }))
    .events

  const served = await serveEvents(app, { ...command, events: [event, ...before, ...after], bundle: true })
  return {
    start: paginationToken((before.at(-1) ?? event).event_order! - 1),
    end: paginationToken((after.at(-1) ?? event).event_order!),
    event: served[0]!,
    events_before: served.slice(1, 1 + before.length),
    events_after: served.slice(1 + before.length),
    state: await stateAround(app, command, [...before.reverse(), event, ...after]),
  }
}

/** Returns the state at the last event; with lazy loading, only the members who sent events. */
async function stateAround(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: ContextCommand,
  events: readonly StoredEvent[],
): Promise<ClientEvent[]> {
  const root = events.at(-1)!.state_after!
  const isLazy = command.filter.lazy_load_members === true
  const budget = stateBudget(app.config.limits.answers.room_state)
  const state = await readAllState(app.database, root, isLazy ? 'rest' : 'all', budget)
  if (isLazy) {
    const senders = new Set(events.map((event) => event.pdu.sender))
    const keys = [...senders].map((sender) => ({ type: 'm.room.member', state_key: sender }))
    state.push(...(await readStateEvents(app.database, root, keys)).filter((member) => member !== undefined))
  }
  return serveStateEvents(app, { ...command, events: state.filter(eventFilter(command.filter)) })
}
