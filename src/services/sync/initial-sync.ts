import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { syncToken } from '../../core/sync-token.ts'
import { loadEvents } from '../../storage/events.ts'
import { loadRoomSummaries } from '../../storage/room-heroes.ts'
import type { Membership } from '../../storage/schema.ts'
import { loadNewestOfRooms, type NewestOfRoom } from '../../storage/sync-rooms.ts'
import { loadJoinSpans } from '../rooms/join-spans.ts'
import { strippedState } from '../rooms/stripped-state.ts'
import { type Departure, departedRooms } from './departed-rooms.ts'
import { unwantedByNid } from './hidden-invites.ts'
import { changeBy } from './room-changes.ts'
import { allAccountData } from './sync-account-data.ts'
import { allEphemeral } from './sync-ephemeral.ts'
import { allPresence } from './sync-presence.ts'
import { type SyncedRooms, syncResponse } from './sync-response.ts'
import { type SyncViewer, syncRooms } from './sync-room.ts'
import { syncUnread } from './sync-unread.ts'
import { withToldMembers } from './told-members.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream'>

const PRESENT: readonly Membership[] = ['join', 'invite', 'knock']
const ALL: readonly Membership[] = [...PRESENT, 'leave', 'ban']

/** Everything, for a client that knows nothing; `position` is the stream position up to which it is told. */
export async function initialSync(
  app: Reading,
  asking: SyncViewer,
): Promise<{ position: number; body: Record<string, unknown> }> {
  const { filter, userId } = asking
  const { position, rooms: all } = await loadNewestOfRooms(app.database, {
    userId,
    memberships: filter.includeLeave ? ALL : PRESENT,
    // One more tells whether the timeline is limited.
    limit: filter.timelineLimit + 1,
  })
  const viewer = withToldMembers(app, asking, { from: undefined, to: position })
  // What is remembered of unread events is as old as this process's view of the stream.
  while (app.stream.position() < position) await app.stream.refresh()
  // Clients that want all members get the room when these are known: https://github.com/matrix-org/matrix-spec-proposals/pull/3902
  const isHidden = (room: NewestOfRoom) => room.isPartial && room.membership === 'join' && !filter.lazyLoadMembers
  const rooms = all.filter((room) => filter.takesRoom(room.roomId) && !isHidden(room))
  const joined = rooms.filter(({ membership }) => membership === 'join')
  const joinedIds = joined.map(({ roomId }) => roomId)
  const [ephemeral, accountData, unread, presence] = await Promise.all([
    allEphemeral(app, viewer, joinedIds),
    allAccountData(app, viewer),
    syncUnread(app, viewer, new Map(joined.map(({ roomId, newest }) => [roomId, newest]))),
    allPresence(app, viewer, joinedIds),
  ])
  const synced: SyncedRooms = {
    join: await joinedRooms(app, viewer, joined),
    leave: await departedRooms(
      app,
      viewer,
      await departuresFrom(
        app,
        viewer,
        rooms.filter(({ membership }) => membership === 'leave' || membership === 'ban'),
      ),
    ),
    invite: await strippedRooms(
      app,
      viewer,
      rooms.filter(({ membership }) => membership === 'invite'),
    ),
    knock: await strippedRooms(
      app,
      viewer,
      rooms.filter(({ membership }) => membership === 'knock'),
    ),
    ephemeral,
    accountData,
    unread,
  }
  return { position, body: { ...syncResponse(synced, syncToken(position)), ...presence } }
}

async function joinedRooms(
  app: Reading,
  viewer: SyncViewer,
  rooms: readonly NewestOfRoom[],
): Promise<SyncedRooms['join']> {
  const summaries = await loadRoomSummaries(
    app.database,
    rooms.map(({ roomId }) => roomId),
    viewer.userId,
  )
  const spans = rooms.map(({ roomId, stateRoot, lastOrder, newest }) => {
    const bounds = { since: undefined, end: stateRoot, after: -Number.MAX_SAFE_INTEGER, last: lastOrder }
    return { roomId, ...bounds, newest, summary: summaries.get(roomId) }
  })
  return syncRooms(app, viewer, spans)
}

/** Rooms that the user has left at any time. */
async function departuresFrom(app: Reading, viewer: SyncViewer, rooms: readonly NewestOfRoom[]): Promise<Departure[]> {
  const nids = rooms.map(({ memberNid }) => memberNid)
  const [newest, spans] = await Promise.all([
    loadEvents(app.database, nids),
    loadJoinSpans(app, viewer.userId, new Set(rooms.map(({ roomId }) => roomId))),
  ])
  return nids.flatMap((nid) => {
    const last = newest.get(nid)
    if (!last) return []
    const end = spans.get(last.room_id)?.end
    const ended = end && changeBy(end)
    return { roomId: last.room_id, last: changeBy(last), ended, since: undefined, after: -Number.MAX_SAFE_INTEGER }
  })
}

/** What those who knock see of the rooms, and those who are invited, if they want that invite. */
export async function strippedRooms(
  app: Reading,
  viewer: SyncViewer,
  rooms: readonly { roomId: RoomId; memberNid: number }[],
): Promise<SyncedRooms['invite']> {
  const synced: SyncedRooms['invite'] = new Map()
  if (rooms.length === 0) return synced
  const hidden = await unwantedByNid(
    app,
    viewer.userId,
    rooms.map(({ memberNid }) => memberNid),
  )
  for (const { roomId, memberNid } of rooms) {
    const state = hidden.has(roomId) ? undefined : await strippedState(app, memberNid, { rooms: rooms.length })
    if (state) synced.set(roomId, state)
  }
  return synced
}
