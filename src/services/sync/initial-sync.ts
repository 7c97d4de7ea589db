import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { syncToken } from '../../core/sync-token.ts'
import { loadEvents } from '../../storage/events.ts'
import { loadRoomSummaries } from '../../storage/room-heroes.ts'
import type { Membership } from '../../storage/schema.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { loadNewestOfRooms, type NewestOfRoom } from '../../storage/sync-rooms.ts'
import { loadJoinSpans } from '../rooms/join-spans.ts'
import { strippedState } from './stripped-state.ts'
import { allAccountData } from './sync-account-data.ts'
import { allEphemeral } from './sync-ephemeral.ts'
import { type SyncedRooms, syncResponse } from './sync-response.ts'
import { type RoomSpan, type SyncViewer, syncRooms } from './sync-room.ts'
import { syncUnread } from './sync-unread.ts'

type Reading = Pick<App, 'database' | 'clock' | 'stream'>

const PRESENT: readonly Membership[] = ['join', 'invite', 'knock']
const ALL: readonly Membership[] = [...PRESENT, 'leave', 'ban']

/** Everything, for a client that knows nothing; `position` is the stream position up to which it is told. */
export async function initialSync(
  app: Reading,
  viewer: SyncViewer,
): Promise<{ position: number; body: Record<string, unknown> }> {
  const { filter, userId } = viewer
  const { position, rooms: all } = await loadNewestOfRooms(app.database, {
    userId,
    memberships: filter.includeLeave ? ALL : PRESENT,
    // One more tells whether the timeline is limited.
    limit: filter.timelineLimit + 1,
  })
  const rooms = all.filter(({ roomId }) => filter.takesRoom(roomId))
  const joined = rooms.filter(({ membership }) => membership === 'join')
  const joinedIds = joined.map(({ roomId }) => roomId)
  const [ephemeral, accountData, unread] = await Promise.all([
    allEphemeral(app, viewer, joinedIds),
    allAccountData(app, viewer),
    syncUnread(app, viewer, new Map(joined.map(({ roomId, newest }) => [roomId, newest]))),
  ])
  const synced: SyncedRooms = {
    join: await joinedRooms(app, viewer, joined),
    leave: await departedRooms(
      app,
      viewer,
      rooms.filter(({ membership }) => membership === 'leave' || membership === 'ban'),
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
  return { position, body: syncResponse(synced, syncToken(position)) }
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

/** Rooms that the user has left, up to the leaving; of those that the user never was in only that. */
async function departedRooms(
  app: Reading,
  viewer: SyncViewer,
  rooms: readonly NewestOfRoom[],
): Promise<SyncedRooms['leave']> {
  const ends = await loadEvents(
    app.database,
    rooms.map(({ memberNid }) => memberNid),
  )
  const spans: RoomSpan[] = []
  for (const { memberNid } of rooms) {
    const end = ends.get(memberNid)
    if (end) spans.push(await departedSpan(app, viewer, { end, since: undefined, after: -Number.MAX_SAFE_INTEGER }))
  }
  return syncRooms(app, viewer, spans)
}

/** What to tell of a room that the user has left by `end`; `since` and `after` as in RoomSpan. Who was only invited or knocked is shown nothing of the room. */
export async function departedSpan(
  app: Reading,
  viewer: SyncViewer,
  { end, since, after }: { end: StoredEvent; since: number | undefined; after: number },
): Promise<RoomSpan> {
  const last = end.event_order ?? 0
  const root = end.state_after ?? 0
  const wasJoined = await wasIn(app, viewer, end)
  const span = wasJoined
    ? { since, end: root, after, newest: [] }
    : { since: root, end: root, after: last - 1, newest: [end] }
  return { roomId: end.room_id, last, summary: undefined, ...span }
}

async function wasIn(app: Reading, viewer: SyncViewer, end: StoredEvent): Promise<boolean> {
  const spans = await loadJoinSpans(app, viewer.userId, new Set<RoomId>([end.room_id]))
  return spans.has(end.room_id)
}

/** What those who are invited or knock see of the rooms. */
export async function strippedRooms(
  app: Reading,
  viewer: SyncViewer,
  rooms: readonly { roomId: RoomId; memberNid: number }[],
): Promise<SyncedRooms['invite']> {
  const synced: SyncedRooms['invite'] = new Map()
  for (const { roomId, memberNid } of rooms) {
    const state = await strippedState(app, memberNid)
    const sender = state?.at(-1)?.sender
    if (state && !(typeof sender === 'string' && viewer.ignored.has(sender))) synced.set(roomId, state)
  }
  return synced
}
