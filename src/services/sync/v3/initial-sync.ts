import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { syncToken } from '../../../core/sync-token.ts'
import { loadNewestOfRooms, type NewestOfRoom } from '../../../storage/sync/sync-rooms.ts'
import { strippedState } from '../../rooms/membership/stripped-state.ts'
import { globalAccountData } from '../sections/sync-account-data.ts'
import { allPresence } from '../sections/sync-presence.ts'
import { allProfiles, membersIn } from '../sections/sync-profiles.ts'
import type { SyncViewer } from '../sections/sync-room.ts'
import { firstRooms, type SomeFirstRooms } from './first-rooms.ts'
import { eventsIn, profileSection, type SyncedRooms, syncResponse } from './sync-response.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'sync' | 'push'>

const PRESENT: readonly Membership[] = ['join', 'invite', 'knock']
const ALL: readonly Membership[] = [...PRESENT, 'leave', 'ban']
/** Rooms loaded together when a client gets rooms that did not fit into its initial sync. */
const MORE_ROOMS = 500

/**
 * Returns everything, for a client without a token; `position`: the response's stream position. `lastRoom`: see
 * `firstRooms`.
 */
export async function initialSync(
  app: Reading,
  asking: SyncViewer,
): Promise<{ position: number; body: Record<string, unknown>; lastRoom: string | undefined }> {
  const { position, rooms: all } = await loadNewestOfRooms(app.database, wantedRooms(asking, PRESENT, ALL))
  const viewer = app.sync.sentMembers.addTo(asking, { from: undefined, to: position })
  // Cached unread events are as old as this process's view of the stream.
  while (app.stream.position() < position) await app.stream.refresh()
  const rooms = shownRooms(viewer, all)
  const joined = rooms.flatMap(({ membership, roomId }) => (membership === 'join' ? roomId : []))
  const ofMembership = (wanted: Membership) => rooms.filter(({ membership }) => membership === wanted)
  const [first, global, presence, invite, knock] = await Promise.all([
    firstRooms(app, viewer, { rooms: rooms.filter(isSentInTurn), to: position }),
    globalAccountData(app, viewer),
    allPresence(app, viewer, joined),
    strippedRooms(app, viewer, ofMembership('invite')),
    strippedRooms(app, viewer, ofMembership('knock')),
  ])
  const synced: SyncedRooms = { ...first.rooms, invite, knock }
  const profiles = await profilesOf(app, viewer, synced, joined)
  const body = { ...syncResponse(synced, global, syncToken(position)), ...presence, ...profileSection(profiles) }
  return { position, lastRoom: first.lastRoom, body }
}

/** Returns the profile fields that the client follows, of all members, or of those in the response. */
async function profilesOf(app: Reading, viewer: SyncViewer, synced: SyncedRooms, joined: readonly RoomId[]) {
  const { profileFields: fields, lazyLoadMembers } = viewer.filter
  if (fields.size === 0) return undefined
  const whole = lazyLoadMembers
    ? { roomIds: [], userIds: membersIn(eventsIn(synced)) }
    : { roomIds: joined, userIds: [] }
  return allProfiles(app, viewer, { fields, joined, whole })
}

/**
 * Returns the next rooms that did not fit into the initial sync: those after a place. `to`: the response's stream
 * position.
 */
export async function moreFirstRooms(
  app: Reading,
  viewer: SyncViewer,
  { after, to }: { after: string; to: number },
): Promise<SomeFirstRooms> {
  const wanted = { ...wantedRooms(viewer, ['join'], ['join', 'leave', 'ban']), after, most: MORE_ROOMS }
  const { position, rooms } = await loadNewestOfRooms(app.database, wanted)
  while (app.stream.position() < position) await app.stream.refresh()
  const next = await firstRooms(app, viewer, { rooms: shownRooms(viewer, rooms), to })
  return { ...next, lastRoom: next.lastRoom ?? (rooms.length < MORE_ROOMS ? undefined : rooms.at(-1)!.place) }
}

function wantedRooms(
  { userId, filter, budget }: SyncViewer,
  present: readonly Membership[],
  all: readonly Membership[],
) {
  return {
    userId,
    memberships: filter.includeLeave ? all : present,
    // One more shows whether the timeline is limited.
    limit: filter.timelineLimit + 1,
    bytes: budget.timeline,
  }
}

/**
 * Clients without lazy loading get a room only once its members are known:
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
function shownRooms({ filter }: SyncViewer, rooms: readonly NewestOfRoom[]): NewestOfRoom[] {
  const isHidden = (room: NewestOfRoom) => room.isPartial && room.membership === 'join' && !filter.lazyLoadMembers
  return rooms.filter((room) => filter.takesRoom(room.roomId) && !isHidden(room))
}

function isSentInTurn({ membership }: NewestOfRoom): boolean {
  return membership !== 'invite' && membership !== 'knock'
}

/** Returns the stripped state of rooms that the user knocks on, and of wanted invites. */
export async function strippedRooms(
  app: Reading,
  viewer: SyncViewer,
  rooms: readonly { roomId: RoomId; memberNid: number }[],
): Promise<SyncedRooms['invite']> {
  const synced: SyncedRooms['invite'] = new Map()
  if (rooms.length === 0) return synced
  const hidden = await app.sync.invites.unwantedByNid(
    viewer.userId,
    rooms.map(({ memberNid }) => memberNid),
  )
  for (const { roomId, memberNid } of rooms) {
    const state = hidden.has(roomId) ? undefined : await strippedState(app, memberNid, { rooms: rooms.length })
    if (state) synced.set(roomId, state)
  }
  return synced
}
