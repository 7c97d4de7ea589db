import type { RoomId, UserId } from '../../../core/ids.ts'
import { isPresent, type Membership } from '../../../core/rooms/membership.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'
import type { Database } from '../../../storage/engine/database.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { loadMembershipsAtPosition } from '../../../storage/sync/sync-memberships.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { followPartialRooms } from './partial-rooms.ts'
import { gatherPresence } from './presence-wakes.ts'

/** The cached state of a syncing user, valid at exactly the stream position of this process. */
export type ConnectedUser = {
  readonly userId: UserId
  /**
   * Rooms that the user has joined, is invited to or knocks on. Immutable: changes create a new map, so that references
   * keep their state.
   */
  rooms: ReadonlyMap<RoomId, { membership: Membership; event_nid: number }>
  /** The joined rooms among them; also immutable. */
  joined: ReadonlySet<RoomId>
  /** Undefined: changed, and not read again yet. */
  ignored: ReadonlySet<string> | undefined
  /** Number of changes so far. */
  ignoredVersion: number
  /** Called when a row that concerns the user arrives. */
  readonly wakers: Set<() => void>
}

/**
 * The users whose clients sync with this process, updated by the stream, so that a message wakes only its room's
 * members.
 */
export type ConnectedUsers = {
  /** Returns the user as of the stream position when it resolves. */
  get(userId: UserId): Promise<ConnectedUser>
  /** Returns the ignored users as of the stream position when it resolves. */
  ignoredBy(user: ConnectedUser): Promise<ReadonlySet<string>>
  /** Returns the rooms with partial state as of the stream position. Valid once `get` has resolved for a user. */
  partialRooms(): ReadonlySet<RoomId>
}

type Capabilities = { database: Database; stream: StreamTail }
/** Joined users by room. */
type Members = Map<RoomId, Set<ConnectedUser>>

/** Minimum number of users cached; waiting users are never evicted. */
const KEPT_USERS = 20_000
/** In rooms with more users than this, presence changes wake nobody: they come with the next response. */
const MAX_WOKEN_BY_PRESENCE = 500

/** Creates the connected users of a process; `kept`: the number of users cached. */
export function createConnectedUsers(app: Capabilities, kept = KEPT_USERS): ConnectedUsers {
  const users = new Map<UserId, ConnectedUser>()
  const members: Members = new Map()
  const drop = dropLater(users, members, kept)
  const loading = new Map<UserId, { user: Promise<ConnectedUser>; early: StreamRow[] }>()

  const partialRooms = followPartialRooms(app)

  const notePresence = gatherPresence(app, (roomId) => {
    const present = members.get(roomId)
    if (present && present.size <= MAX_WOKEN_BY_PRESENCE) wakeAll(present)
  })

  app.stream.subscribe((rows) => {
    const woken = new Set<ConnectedUser>()
    for (const row of rows) {
      if (row.user_id !== null) {
        if (row.kind === 'presence' && members.size > 0) notePresence(row.user_id)
        loading.get(row.user_id)?.early.push(row)
        const user = users.get(row.user_id)
        if (user) {
          follow(members, user, row)
          woken.add(user)
        }
      }
      // Account data of a room concerns only its owner; history comes with the next response.
      if (row.room_id === null || row.kind === 'account_data' || row.kind === 'history') continue
      for (const user of members.get(row.room_id) ?? []) woken.add(user)
    }
    wakeAll(woken)
  })

  async function load(userId: UserId, early: StreamRow[]): Promise<ConnectedUser> {
    await partialRooms.ready()
    const { position, memberships } = await loadMembershipsAtPosition(app.database, userId)
    while (app.stream.position() < position) await app.stream.refresh()
    const user = connectedUser(userId, memberships)
    for (const roomId of user.joined) enter(members, user, roomId)
    for (const row of early)
      if (row.stream_position > position || row.kind === 'account_data') follow(members, user, row)
    users.set(userId, user)
    drop()
    return user
  }

  return {
    partialRooms: () => partialRooms.now,
    ignoredBy: (user) => ignoredBy(app, user),
    get(userId) {
      const known = findNow(users, userId)
      if (known) return Promise.resolve(known)
      const under = loading.get(userId)
      if (under) return under.user
      const early: StreamRow[] = []
      const user = load(userId, early).finally(() => loading.delete(userId))
      loading.set(userId, { user, early })
      return user
    },
  }
}

function connectedUser(
  userId: UserId,
  memberships: Awaited<ReturnType<typeof loadMembershipsAtPosition>>['memberships'],
): ConnectedUser {
  const joined = new Set(memberships.flatMap((row) => (row.membership === 'join' ? row.room_id : [])))
  const rooms = new Map(memberships.map(({ room_id, ...membership }) => [room_id, membership]))
  return { userId, rooms, joined, ignored: undefined, ignoredVersion: 0, wakers: new Set() }
}

/** Returns a cached user, and marks it as most recently used. */
function findNow(users: Map<UserId, ConnectedUser>, userId: UserId): ConnectedUser | undefined {
  const known = users.get(userId)
  if (!known) return undefined
  users.delete(userId)
  users.set(userId, known)
  return known
}

function wakeAll(users: ReadonlySet<ConnectedUser>): void {
  for (const user of users) for (const wake of user.wakers) wake()
}

/** Returns a function that evicts the least recently used users beyond `kept`, except waiting ones. */
function dropLater(users: Map<UserId, ConnectedUser>, members: Members, kept: number): () => void {
  let isDropping = false
  function dropOldest(): void {
    isDropping = false
    if (users.size <= kept) return
    for (const user of users.values()) {
      if (user.wakers.size > 0) continue
      users.delete(user.userId)
      for (const roomId of user.joined) leave(members, user, roomId)
      if (users.size <= kept) return
    }
  }
  return () => {
    // Deferred: a user that was just requested begins to wait first.
    if (users.size > kept && !isDropping) setImmediate(dropOldest)
    isDropping = users.size > kept
  }
}

async function ignoredBy(app: Capabilities, user: ConnectedUser): Promise<ReadonlySet<string>> {
  while (!user.ignored) {
    const version = user.ignoredVersion
    const ignored = await loadIgnoredUsers(app.database, user.userId)
    if (version === user.ignoredVersion) user.ignored = ignored
  }
  return user.ignored
}

/** Applies a row about the user. */
function follow(members: Members, user: ConnectedUser, row: StreamRow): void {
  if ((row.kind === 'event' || row.kind === 'state') && row.room_id !== null) {
    const now = { membership: row.detail as Membership, event_nid: row.ref ?? 0 }
    setMembership(members, user, { roomId: row.room_id, now })
  }
  if (row.kind === 'departure')
    setMembership(members, user, { roomId: row.detail as RoomId, now: { membership: 'leave', event_nid: 0 } })
  if (row.kind === 'account_data' && row.detail === 'm.ignored_user_list') {
    user.ignored = undefined
    user.ignoredVersion++
  }
}

function setMembership(
  members: Members,
  user: ConnectedUser,
  { roomId, now }: { roomId: RoomId; now: { membership: Membership; event_nid: number } },
): void {
  const rooms = new Map(user.rooms)
  if (isPresent(now.membership)) rooms.set(roomId, now)
  else rooms.delete(roomId)
  user.rooms = rooms
  if ((now.membership === 'join') === user.joined.has(roomId)) return
  const joined = new Set(user.joined)
  user.joined = joined
  if (now.membership === 'join') {
    joined.add(roomId)
    enter(members, user, roomId)
  } else {
    joined.delete(roomId)
    leave(members, user, roomId)
  }
}

function enter(members: Members, user: ConnectedUser, roomId: RoomId): void {
  const present = members.get(roomId) ?? new Set()
  members.set(roomId, present.add(user))
}

function leave(members: Members, user: ConnectedUser, roomId: RoomId): void {
  const present = members.get(roomId)
  present?.delete(user)
  if (present?.size === 0) members.delete(roomId)
}
