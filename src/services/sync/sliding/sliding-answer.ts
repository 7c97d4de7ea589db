import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { isPresent } from '../../../core/rooms/membership.ts'
import { type ListedRoom, type ListReader, loadListedRooms } from '../../../storage/rooms/room-lists.ts'
import { KNOWN, type KnownRoom } from '../../../storage/schema/sliding-sync.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type ConnectionState, loadFlaggedRooms, loadKnownRooms } from '../../../storage/sync/sliding-connections.ts'
import { removedRooms } from '../sections/removed-rooms.ts'
import { membersIn, type WholeProfiles } from '../sections/sync-profiles.ts'
import type { SyncViewer } from '../sections/sync-room.ts'
import { roomsRead } from '../sections/sync-unread.ts'
import {
  type ExtensionNews,
  type ExtensionResults,
  extensionResults,
  hasExtensionNews,
  roomsWithEphemeralNews,
} from './sliding-extensions.ts'
import { type ConfigPlaces, configPlaces, planRooms, type SlidingRoomPlan, wasDirect } from './sliding-plan.ts'
import { incompleteShape, profilesInShape, type SlidingRequest } from './sliding-request.ts'
import type { SlidingContent } from './sliding-room-content.ts'
import { loadUnread, type SlidingRoom, slidingRooms } from './sliding-rooms.ts'
import { findWindows, type MatchedRoom } from './sliding-windows.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'logger' | 'reading' | 'sync' | 'push'>

/** The changes since a connection's last response; a new connection has no `from`, and no rows. */
export type SlidingNews = {
  from: number | undefined
  to: number
  rows: readonly StreamRow[]
  /** The user's joined rooms. */
  joined: ReadonlySet<RoomId>
}

/** A response without its `pos`. */
export type SlidingAnswer = {
  counts: ReadonlyMap<string, number>
  rooms: ReadonlyMap<RoomId, SlidingRoom & { lists: readonly string[] }>
  extensions: ExtensionResults
  /** Whether to send it to a waiting client now. */
  isNews: boolean
  /** Changes to store for the connection; undefined: none. */
  changes: { rooms: ReadonlyMap<RoomId, KnownRoom>; configs: string; shape: string } | undefined
}

/** Computes the response to a connection. `connection` undefined: a new one. */
export async function slidingAnswer(
  app: Reading,
  viewer: SyncViewer,
  {
    request,
    connection,
    news,
  }: { request: SlidingRequest; connection: ConnectionState | undefined; news: SlidingNews },
): Promise<SlidingAnswer> {
  const { shape } = request
  const places = configPlaces(connection?.configs)
  const reader = { userId: viewer.userId, connection: connection?.connection_nid }
  const direct = await app.sync.directRooms(viewer.userId)
  const isAsBefore = connection?.shape === shape
  const newsOnly = isAsBefore && !news.rows.some(({ kind, detail }) => kind === 'account_data' && detail === 'm.direct')
  const isWhole = !connection || connection.answer % WHOLE_EVERY === 0
  const touched = isWhole ? undefined : touchedRooms(news, viewer)
  const { counts, matched } = await findWindows(app, reader, request, { direct, newsOnly, touched })
  await addDepartures(app, viewer, { matched, news, reader, places })
  const plans = planRooms(matched, { places, direct, extensions: request.extensions })
  const live = new Set(news.rows.flatMap(({ kind, ref }) => (kind === 'event' ? (ref ?? []) : [])))
  const loaded = await slidingRooms(app, viewer, {
    spans: inTurn(plans.filter(({ mayHaveNews }) => mayHaveNews)).map(({ span }) => span),
    live,
  })
  const rooms = sentRooms(plans, loaded.rooms)
  if (connection) await addRemovedRooms(app, viewer, { rooms, news })
  await addReadRooms(app, viewer, { rooms, plans, news, reader })
  const read = new Set(loaded.contents.map(({ span }) => span.room.roomId))
  const flags = await flagsOf(app, { plans, read, news, connection, isAsBefore })
  const extensions = await extensionResults(app, viewer, {
    extensions: request.extensions,
    ...news,
    ...flags,
    newRooms: new Map(
      [...rooms]
        .filter(([, { isInitial }]) => isInitial)
        .map(([roomId, { timeline }]) => [roomId, new Set(timeline?.events.map(({ event_id }) => event_id))]),
    ),
    hasLists: request.lists.size > 0,
    stickyRooms: roomsWithSticky(app, plans),
    profilesOf: () => shownProfiles({ rooms, plans, flags, shapes: [connection?.shape ?? '', shape] }),
    isSent: ({ room_id, event_id }) =>
      rooms.get(room_id)?.timeline?.events.some((event) => event.event_id === event_id) ?? false,
  })
  const known = knownAfterwards(plans, loaded.contents)
  for (const [roomId, room] of flags.unflagged) if (!known.has(roomId)) known.set(roomId, room)
  return {
    counts,
    rooms,
    extensions,
    isNews: !isAsBefore || rooms.size > 0 || hasExtensionNews(extensions),
    changes:
      isAsBefore && known.size === 0
        ? undefined
        : // Changes that do not fit come with the next response, immediately, as if the request had changed.
          { rooms: known, configs: storedConfigs(places), shape: loaded.isComplete ? shape : incompleteShape(shape) },
  }
}

/** Returns the rooms that have sticky events now. */
function roomsWithSticky({ clock }: Reading, plans: readonly SlidingRoomPlan[]): ReadonlySet<RoomId> {
  const now = clock.now()
  return new Set(plans.flatMap(({ room }) => (room.stickyUntil > now ? room.roomId : [])))
}

/**
 * Returns for whom the client gets the whole profile: members whose member events or names it gets, and all members of
 * rooms without lazy loading, once they are new or the client follows other fields. `shapes`: before and now.
 */
function shownProfiles({
  rooms,
  plans,
  flags: { fresh, live },
  shapes: [before, now],
}: {
  rooms: ReadonlyMap<RoomId, SlidingRoom>
  plans: readonly SlidingRoomPlan[]
  flags: Pick<ExtensionNews, 'fresh' | 'live'>
  shapes: [string, string]
}): WholeProfiles {
  const areFieldsNew = profilesInShape(before) !== profilesInShape(now)
  const whole = new Set([...fresh(KNOWN.profiles), ...(areFieldsNew ? live(KNOWN.profiles) : [])])
  const isWhole = ({ room, config }: SlidingRoomPlan) =>
    whole.has(room.roomId) && !config.requiredState.every(({ lazyMembers }) => lazyMembers)
  const shown = [...rooms.values()].flatMap(({ requiredState, timeline, heroes = [] }) => [
    ...membersIn([...requiredState, ...(timeline?.events ?? [])]),
    ...heroes.map(({ user_id }) => user_id),
  ])
  return { userIds: shown, roomIds: plans.filter(isWhole).map(({ room }) => room.roomId) }
}

/** If not all rooms fit, subscribed ones come first. */
function inTurn(plans: readonly SlidingRoomPlan[]): SlidingRoomPlan[] {
  return [...plans].sort((a, b) => Number(b.isSubscribed) - Number(a.isSubscribed))
}

/**
 * Lists are evaluated completely this often even without changes: a room that could not be read appears once it can be.
 */
const WHOLE_EVERY = 16

/**
 * Returns the rooms with changes; undefined: the user's memberships or account data changed, which may move others into
 * lists.
 */
function touchedRooms({ rows }: SlidingNews, { userId }: SyncViewer): RoomId[] | undefined {
  const touched = new Set<RoomId>()
  for (const { kind, room_id, user_id } of rows) {
    const isOfState = kind === 'event' || kind === 'state'
    if (user_id === userId && (isOfState || kind === 'account_data' || kind === 'departure')) return undefined
    if (room_id !== null && (isOfState || kind === 'room_complete' || kind === 'room_partial')) touched.add(room_id)
  }
  return [...touched].sort()
}

function storedConfigs({ configs }: ConfigPlaces): string {
  return JSON.stringify(configs)
}

/** Adds rooms that the connection knows and the user has left: the leave is sent once, whatever list they were in. */
async function addDepartures(
  app: Reading,
  viewer: SyncViewer,
  {
    matched,
    news,
    reader,
    places,
  }: { matched: Map<RoomId, MatchedRoom>; news: SlidingNews; reader: ListReader; places: ConfigPlaces },
): Promise<void> {
  const own = news.rows.flatMap(({ kind, room_id, user_id }) =>
    (kind === 'event' || kind === 'state') && user_id === viewer.userId && room_id !== null ? room_id : [],
  )
  const moved = [...new Set(own)].filter((roomId) => !matched.has(roomId))
  if (moved.length === 0 || reader.connection === undefined) return
  const known = await loadKnownRooms(app.database, reader.connection, moved)
  const rooms = new Map((await loadListedRooms(app.database, reader, moved)).map((room) => [room.roomId, room]))
  for (const [roomId, knownRoom] of known) {
    const room = rooms.get(roomId) ?? lostRoom(roomId, knownRoom)
    if (isPresent(room.membership)) continue
    matched.set(roomId, { room, lists: [], isSubscribed: false, config: places.configs[knownRoom.config]! })
  }
}

/** Adds rooms that were deleted: the connection no longer knows them, and gets only the leave. */
async function addRemovedRooms(
  app: Reading,
  viewer: SyncViewer,
  { rooms, news }: { rooms: Map<RoomId, SlidingRoom & { lists: readonly string[] }>; news: SlidingNews },
): Promise<void> {
  for (const [roomId, event] of await removedRooms(app, viewer, news)) {
    const nothing = { isInitial: false, isExpanded: false, deletedState: [], lists: [] }
    const timeline = { events: [event], limited: false, prevBatch: paginationToken(0), numLive: 1 }
    rooms.set(roomId, { membership: 'leave', ...nothing, requiredState: [event], timeline })
  }
}

function lostRoom(roomId: RoomId, known: KnownRoom): ListedRoom {
  const nothing = { memberNid: null, since: 0, bump: 0, stateRoot: 0, lastOrder: 0, stickyUntil: 0, redacted: [] }
  return { roomId, membership: 'leave', ...nothing, known }
}

function sentRooms(
  plans: readonly SlidingRoomPlan[],
  rooms: ReadonlyMap<RoomId, SlidingRoom>,
): Map<RoomId, SlidingRoom & { lists: readonly string[] }> {
  const sent = new Map<RoomId, SlidingRoom & { lists: readonly string[] }>()
  for (const { room, known, isDirect, lists } of plans) {
    const content = rooms.get(room.roomId)
    if (!content) continue
    const changed = content.isInitial ? isDirect : isDirect !== wasDirect(known)
    const isSent = content.isInitial || changed || known?.membership !== room.membership || !isSilent(content)
    if (isSent) sent.set(room.roomId, { ...content, lists, ...(changed && { isDirect }) })
  }
  return sent
}

/** Returns whether only ignored users' events remain: these wake nobody. */
function isSilent({ timeline, requiredState, deletedState, name, avatar, joinedCount }: SlidingRoom): boolean {
  return (
    (timeline?.events.length ?? 0) === 0 &&
    requiredState.length + deletedState.length === 0 &&
    name === undefined &&
    avatar === undefined &&
    joinedCount === undefined
  )
}

/** Adds the counts of rooms that the user has read on another device and that have no other change. */
async function addReadRooms(
  app: Reading,
  viewer: SyncViewer,
  {
    rooms,
    plans,
    news,
    reader,
  }: {
    rooms: Map<RoomId, SlidingRoom & { lists: readonly string[] }>
    plans: readonly SlidingRoomPlan[]
    news: SlidingNews
    reader: ListReader
  },
): Promise<void> {
  const read = [...roomsRead(news.rows, viewer.userId)].filter(
    (roomId) => !rooms.has(roomId) && news.joined.has(roomId),
  )
  if (read.length === 0) return
  const listed = (await loadListedRooms(app.database, reader, read)).filter(
    ({ membership, known }) => membership === 'join' && known?.membership === 'join',
  )
  const unread = await loadUnread(
    app,
    viewer.userId,
    listed.map(({ roomId, lastOrder }) => ({ roomId, last: lastOrder, events: [] })),
  )
  for (const [roomId, counts] of unread) {
    const lists = plans.find((plan) => plan.room.roomId === roomId)?.lists ?? []
    const quiet = { isInitial: false, isExpanded: false, requiredState: [], deletedState: [] }
    rooms.set(roomId, { membership: 'join', ...quiet, unread: counts, lists })
  }
}

/**
 * Returns for which rooms extensions send everything, for which only changes, and which they no longer follow. `read`:
 * the rooms in the response.
 */
async function flagsOf(
  app: Reading,
  {
    plans,
    read,
    news,
    connection,
    isAsBefore,
  }: {
    plans: readonly SlidingRoomPlan[]
    read: ReadonlySet<RoomId>
    news: SlidingNews
    connection: ConnectionState | undefined
    isAsBefore: boolean
  },
) {
  const planned = new Map(plans.map((plan) => [plan.room.roomId, plan]))
  const others = [...roomsWithEphemeralNews(news.rows)].filter((roomId) => !planned.has(roomId))
  const [known, flagged] = await Promise.all([
    connection ? loadKnownRooms(app.database, connection.connection_nid, others) : new Map<RoomId, KnownRoom>(),
    connection && !isAsBefore
      ? loadFlaggedRooms(app.database, connection.connection_nid, { flags: FOLLOWED, except: [...planned.keys()] })
      : new Map<RoomId, KnownRoom>(),
  ])
  const isSent = ({ mayHaveNews, room }: SlidingRoomPlan) => !mayHaveNews || read.has(room.roomId)
  const isFresh = (plan: SlidingRoomPlan, flag: number) =>
    (plan.flags & flag) !== 0 && ((plan.known?.flags ?? 0) & flag) === 0
  return {
    unflagged: new Map([...flagged].map(([roomId, room]) => [roomId, { ...room, flags: room.flags & KNOWN.dm }])),
    fresh: (flag: number) =>
      new Set(plans.filter((plan) => isSent(plan) && isFresh(plan, flag)).map((plan) => plan.room.roomId)),
    live: (flag: number) => {
      const stays = plans
        .filter((plan) => (plan.flags & flag) !== 0 && !isFresh(plan, flag))
        .map((plan) => plan.room.roomId)
      const rest = [...known].filter(([roomId, { flags }]) => (flags & flag) !== 0 && !flagged.has(roomId))
      return new Set([...stays, ...rest.map(([roomId]) => roomId)].filter((roomId) => news.joined.has(roomId)))
    },
  }
}

const FOLLOWED = KNOWN.accountData | KNOWN.receipts | KNOWN.typing | KNOWN.sticky | KNOWN.profiles

/** Returns the client's knowledge after the response, for rooms where it changes. */
function knownAfterwards(
  plans: readonly SlidingRoomPlan[],
  contents: readonly SlidingContent[],
): Map<RoomId, KnownRoom> {
  const read = new Map(contents.map((content) => [content.span.room.roomId, content.nowKnown]))
  const changed = new Map<RoomId, KnownRoom>()
  for (const { room, known, mayHaveNews, configPlace, flags } of plans) {
    const now = read.get(room.roomId)
    // Rooms that could not be read stay unknown.
    if (mayHaveNews && !now) continue
    const next = { ...(now ?? known!), config: configPlace, flags }
    if (!known || JSON.stringify(entries(known)) !== JSON.stringify(entries(next))) changed.set(room.roomId, next)
  }
  return changed
}

function entries({ membership, state_root, event_order, events, config, flags, members }: KnownRoom): unknown[] {
  return [membership, state_root, event_order, events, config, flags, members]
}
