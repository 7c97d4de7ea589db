import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { readAllState, readChangedState, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { TimelineViewer } from './sync-timeline.ts'

/**
 * Returns the state changes from the client's state (state group `from`; undefined: none) to `to`. With lazy loading,
 * members are limited to the senders of `timeline` and the `heroes`.
 * https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
 */
export async function syncState(
  app: Pick<App, 'database'>,
  viewer: TimelineViewer,
  span: StateSpan,
): Promise<StoredEvent[]> {
  const state = await neededState(app, viewer, span)
  const redacted = await stillCurrent(app, span, state)
  return [...state, ...redacted].filter(viewer.filter.takesState)
}

type StateSpan = {
  roomId: RoomId
  from: number | undefined
  to: number
  timeline: readonly StoredEvent[]
  /** Whether events are missing before the timeline: then clients may forget members. */
  limited: boolean
  heroes: readonly UserId[]
  /** Redacted state events: they are in the same state as before, but differ from the client's copy. */
  redacted: readonly StoredEvent[]
}

async function neededState(
  app: Pick<App, 'database'>,
  { userId, filter, sentMembers, budget }: TimelineViewer,
  { roomId, from, to, timeline, limited, heroes }: StateSpan,
): Promise<StoredEvent[]> {
  const senders = timeline.map((event) => event.pdu.sender)
  if (from === undefined) {
    if (!filter.lazyLoadMembers) return readAllState(app.database, to, 'all', budget.state)
    const rest = await readAllState(app.database, to, 'rest', budget.state)
    return [...rest, ...(await membersAt(app, to, [...senders, userId, ...heroes]))]
  }
  // Changes in a gap include all members: clients have to know whose devices to track.
  const { added } = await readChangedState(app.database, { from, to }, budget.state)
  if (!filter.lazyLoadMembers) return added
  const changed = new Set(added.flatMap(({ pdu }) => (pdu.type === 'm.room.member' ? pdu.state_key : [])))
  const wanted = [...senders, ...heroes].filter((sender) => !changed.has(sender))
  const members = await membersAt(app, to, wanted)
  return [...added, ...(sentMembers && !limited ? sentMembers.unsent(roomId, members) : members)]
}

/** Returns those redacted state events that are current and not included otherwise. */
async function stillCurrent(
  app: Pick<App, 'database'>,
  { to, timeline, redacted }: StateSpan,
  state: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  if (redacted.length === 0) return []
  const keys = redacted.map(({ pdu }) => ({ type: pdu.type, state_key: pdu.state_key! }))
  const current = await readStateEvents(app.database, to, keys)
  const sent = new Set([...timeline, ...state].map(({ event_nid }) => event_nid))
  return redacted.filter((event, place) => {
    return current[place]?.event_nid === event.event_nid && !sent.has(event.event_nid)
  })
}

async function membersAt(app: Pick<App, 'database'>, root: number, userIds: readonly UserId[]): Promise<StoredEvent[]> {
  const keys = [...new Set(userIds)].map((userId) => ({ type: 'm.room.member', state_key: userId }))
  const members = await readStateEvents(app.database, root, keys)
  return members.flatMap((member) => member ?? [])
}
