import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { readAllState, readStateDiff, readStateEvents } from '../../storage/room-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import type { Viewer } from './sync-timeline.ts'

/**
 * The state that a client needs to go from what it has (the state at `from`; undefined: nothing) to the state at `to`, with members as lazily
 * as the filter wants: the senders of `timeline`, and `heroes`. https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
 */
export async function syncState(
  app: Pick<App, 'database'>,
  viewer: Viewer,
  span: { from: number | undefined; to: number; timeline: readonly StoredEvent[]; heroes: readonly UserId[] },
): Promise<StoredEvent[]> {
  const state = await neededState(app, viewer, span)
  return state.filter(viewer.filter.takesState)
}

async function neededState(
  app: Pick<App, 'database'>,
  { userId, filter }: Viewer,
  {
    from,
    to,
    timeline,
    heroes,
  }: { from: number | undefined; to: number; timeline: readonly StoredEvent[]; heroes: readonly UserId[] },
): Promise<StoredEvent[]> {
  const senders = timeline.map((event) => event.pdu.sender)
  if (from === undefined) {
    if (!filter.lazyLoadMembers) return readAllState(app.database, to)
    const rest = await readAllState(app.database, to, 'rest')
    return [...rest, ...(await membersAt(app, to, [...senders, userId, ...heroes]))]
  }
  // A gap's changes are all told, members included: clients have to know whose devices to track.
  const { added } = await readStateDiff(app.database, from, to)
  if (!filter.lazyLoadMembers) return added
  const told = new Set(added.flatMap(({ pdu }) => (pdu.type === 'm.room.member' ? pdu.state_key : [])))
  return [
    ...added,
    ...(await membersAt(
      app,
      to,
      [...senders, ...heroes].filter((sender) => !told.has(sender)),
    )),
  ]
}

async function membersAt(app: Pick<App, 'database'>, root: number, userIds: readonly UserId[]): Promise<StoredEvent[]> {
  const keys = [...new Set(userIds)].map((userId) => ({ type: 'm.room.member', state_key: userId }))
  const members = await readStateEvents(app.database, root, keys)
  return members.flatMap((member) => member ?? [])
}
