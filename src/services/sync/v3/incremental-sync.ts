import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { syncToken } from '../../../core/sync-token.ts'
import { findMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadRoomSummaries } from '../../../storage/rooms/room-heroes.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { loadRedactedState } from '../../../storage/rooms/timeline/redacted-state.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import { findEventAtOrder, findOrderAtPosition } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { loadNewestOfRooms } from '../../../storage/sync/sync-rooms.ts'
import { answerBudget } from '../answers/answer-budget.ts'
import { encryptionChanges } from '../sections/encryption-changes.ts'
import { removedRooms } from '../sections/removed-rooms.ts'
import { changedAccountData } from '../sections/sync-account-data.ts'
import { allEphemeral, changedEphemeral } from '../sections/sync-ephemeral.ts'
import { presenceChanges } from '../sections/sync-presence.ts'
import { membersIn, type ProfilesNews, profileChanges } from '../sections/sync-profiles.ts'
import { type SyncedRoom, type SyncViewer, syncRooms } from '../sections/sync-room.ts'
import type { RoomSpan } from '../sections/sync-room-content.ts'
import { serveSticky, stickyChanges } from '../sections/sync-sticky.ts'
import { roomsRead, syncUnread } from '../sections/sync-unread.ts'
import type { ConnectedUser } from '../waiting/connected-users.ts'
import { type Departure, departedRooms } from './departed-rooms.ts'
import { addRooms, type FirstRooms, placeOfRoom } from './first-rooms.ts'
import { moreFirstRooms, strippedRooms } from './initial-sync.ts'
import { type OwnChange, type RoomChange, roomChanges, rowsByRoom, wasJoinedAt } from './room-changes.ts'
import { eventsIn, isInTimeline, profileSection, type SyncedRooms, syncResponse } from './sync-response.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'sync' | 'push'>

type IncrementalSpan = {
  user: ConnectedUser
  from: number
  to: number
  fullState: boolean
  /** The position up to which the client has received to-device messages, if it differs from `from`. */
  acknowledged: number | undefined
  /** The position up to which the client has received sticky events, if it differs from `from`. */
  stickyFrom: number | undefined
  /** Rooms with partial state, as of `to`. */
  partial: ReadonlySet<RoomId>
  /** The place of the last room that the client has received, if its initial sync could not include all. */
  lastRoom: string | undefined
}

/**
 * Returns the changes after position `from` up to `to`; `body` undefined: none. `to` must be the stream position at the
 * call.
 */
export async function incrementalSync(
  app: Reading,
  asking: SyncViewer,
  { user, from, to, fullState, acknowledged, stickyFrom, partial, lastRoom }: IncrementalSpan,
): Promise<Record<string, unknown> | undefined> {
  const viewer = app.sync.sentMembers.addTo(asking, { from, to })
  // The user's rooms as of `to`, read before any await, since the stream updates them.
  const present = user.rooms
  const { joined, sent } = shownRooms(viewer, user, { partial, lastRoom })
  const followsProfiles = viewer.filter.profileFields.size > 0
  const rows = await rowsOf(app, { user, from, to, joined, present, followsProfiles })
  const isBehind = (acknowledged !== undefined && acknowledged < from) || stickyFrom !== undefined
  const presences = await app.stream.presencesBetween(from, to)
  const isQuiet = rows.length === 0 && presences.length === 0
  if (isQuiet && !fullState && !isBehind && lastRoom === undefined) return undefined

  const isLater = (roomId: RoomId | null) => roomId !== null && joined.has(roomId) && !sent.has(roomId)
  const ofRooms = rowsByRoom(rows.filter((row) => row.user_id === user.userId || !isLater(row.room_id)))
  viewer.budget.timeline = answerBudget(app, { rooms: ofRooms.size }).timeline
  const changes = (await roomChanges(app, viewer, ofRooms)).filter(({ roomId }) => viewer.filter.takesRoom(roomId))
  const newlyJoined = await newlyJoinedRooms(app, viewer, changes, joined)
  const known = new Set([...sent].filter((roomId) => !newlyJoined.has(roomId) && viewer.filter.takesRoom(roomId)))
  const [changed, fresh, accountData, sticky, encryption, presence] = await Promise.all([
    changedEphemeral(app, viewer, { rows, joined: known }),
    allEphemeral(app, viewer, { roomIds: [...newlyJoined], to }),
    changedAccountData(app, viewer, rows, newlyJoined),
    stickyChanges(app, viewer, { rows, known, newlyJoined, after: stickyFrom ?? from, from, to }),
    encryptionChanges(app, { ...viewer, acknowledged, from, to, rows, joined }),
    presenceChanges(app, viewer, { changed: presences, rows, joined, newlyJoined }),
  ])
  const ephemeral = new Map([...changed, ...fresh])
  const rooms = await changedRooms(app, viewer, changes, { joined: sent, present, newlyJoined, fullState, to })
  await addRemovedRooms(app, viewer, { leave: rooms.leave, from, to, rows })
  const unsent = await serveSticky(app, viewer, { ...sticky, isSent: isInTimeline(rooms.join) })
  const synced: SyncedRooms = { ...rooms, ephemeral, accountData: accountData.rooms, sticky: unsent, unread: new Map() }
  if (fullState) await addUnchangedRooms(app, viewer, { synced, isShown: (roomId) => sent.has(roomId) })
  const quiet = [ephemeral, accountData.rooms, unsent].flatMap((section) => [...section.keys()])
  quiet.push(...roomsRead(rows, viewer.userId))
  addQuietRooms(viewer, synced, new Set(quiet.filter((roomId) => known.has(roomId))), to)
  const more = lastRoom === undefined ? undefined : await moreFirstRooms(app, viewer, { after: lastRoom, to })
  synced.unread = await unreadOf(app, viewer, synced, changes)
  if (more) addFirstRooms(synced, more.rooms)
  const profiles = await changedProfiles(app, viewer, { synced, rows, joined, to })
  const sections = { ...encryption.sections, ...presence, ...profileSection(profiles) }
  const hasNews =
    fullState ||
    more !== undefined ||
    sticky.upTo !== undefined ||
    accountData.global.length > 0 ||
    Object.keys(sections).length > 0 ||
    [synced.join, synced.leave, synced.invite, synced.knock].some((section) => section.size > 0)
  const nextBatch = syncToken(to, { toDevice: encryption.toDevice, sticky: sticky.upTo, lastRoom: more?.lastRoom })
  return hasNews ? { ...syncResponse(synced, accountData.global, nextBatch), ...sections } : undefined
}

/** Returns the joined rooms that the client may get, and those among them that it has received. */
function shownRooms(
  { filter }: SyncViewer,
  user: ConnectedUser,
  { partial, lastRoom }: Pick<IncrementalSpan, 'partial' | 'lastRoom'>,
): { joined: ReadonlySet<RoomId>; sent: ReadonlySet<RoomId> } {
  // Clients without lazy loading get a room only once its members are known:
  // https://github.com/matrix-org/matrix-spec-proposals/pull/3902
  const hidden = filter.lazyLoadMembers ? NONE : partial
  const joined = hidden.size === 0 ? user.joined : new Set([...user.joined].filter((roomId) => !hidden.has(roomId)))
  // Sections of rooms are those of rooms that the client has received. The other sections concern all rooms.
  const sent =
    lastRoom === undefined ? joined : new Set([...joined].filter((roomId) => placeOfRoom(roomId) <= lastRoom))
  return { joined, sent }
}

const NONE: ReadonlySet<RoomId> = new Set()

async function changedProfiles(
  app: Reading,
  viewer: SyncViewer,
  { synced, ...news }: { synced: SyncedRooms; rows: readonly StreamRow[]; joined: ReadonlySet<RoomId>; to: number },
): Promise<ProfilesNews> {
  const { profileFields: fields, lazyLoadMembers: isLazy } = viewer.filter
  if (fields.size === 0) return new Map()
  const whole = { roomIds: [], userIds: isLazy ? membersIn(eventsIn(synced)) : [] }
  return profileChanges(app, viewer, { fields, whole, isLazy, ...news })
}

function unreadOf(app: Reading, viewer: SyncViewer, { join }: SyncedRooms, changes: readonly RoomChange[]) {
  const events = new Map(changes.map((change) => [change.roomId, change.events]))
  return syncUnread(app, viewer, new Map([...join.keys()].map((roomId) => [roomId, events.get(roomId) ?? []])))
}

/** Returns the changed rooms, by the user's current membership. */
async function changedRooms(
  app: Reading,
  viewer: SyncViewer,
  changes: readonly RoomChange[],
  {
    joined,
    present,
    newlyJoined,
    fullState,
    to,
  }: Pick<ConnectedUser, 'joined'> & {
    present: ConnectedUser['rooms']
    newlyJoined: ReadonlySet<RoomId>
    fullState: boolean
    to: number
  },
): Promise<Pick<SyncedRooms, 'join' | 'leave' | 'invite' | 'knock'>> {
  const stripped = changes.flatMap(({ roomId, own }) => {
    const now = present.get(roomId)
    return own.length > 0 && now && now.membership !== 'join'
      ? { roomId, memberNid: now.event_nid, membership: now.membership }
      : []
  })
  return {
    join: await joinedRooms(
      app,
      viewer,
      changes.filter(({ roomId }) => joined.has(roomId)),
      { newlyJoined, fullState, to },
    ),
    leave: await departedRooms(
      app,
      viewer,
      await departuresFrom(
        app,
        viewer,
        changes.filter(({ roomId }) => !present.has(roomId)),
      ),
    ),
    invite: await strippedRooms(
      app,
      viewer,
      stripped.filter(({ membership }) => membership === 'invite'),
    ),
    knock: await strippedRooms(
      app,
      viewer,
      stripped.filter(({ membership }) => membership === 'knock'),
    ),
  }
}

/** Rooms left since then are in the response already. */
function addFirstRooms(synced: SyncedRooms, more: FirstRooms): void {
  const leave = new Map([...more.leave].filter(([roomId]) => !synced.leave.has(roomId)))
  addRooms(synced, { ...more, leave })
}

/**
 * Returns the rows that concern the user: of the user, of joined rooms, and of rooms left since. Changes of profiles,
 * which all who share a room get, are only among them for a client that follows profiles.
 */
export async function rowsOf(
  app: Pick<App, 'stream'>,
  {
    user,
    from,
    to,
    joined,
    present,
    followsProfiles = false,
  }: {
    user: ConnectedUser
    from: number
    to: number
    joined: ReadonlySet<RoomId>
    present: ReadonlyMap<RoomId, unknown>
    followsProfiles?: boolean
  },
): Promise<StreamRow[]> {
  const rows = await app.stream.rowsBetween({ from, to, roomIds: joined, userId: user.userId })
  const left = new Set<RoomId>()
  for (const row of rows) if (isOfState(row) && row.room_id !== null && !present.has(row.room_id)) left.add(row.room_id)
  const isWanted = ({ kind, user_id }: StreamRow) =>
    (kind !== 'account_data' || user_id === user.userId) && (kind !== 'profile' || followsProfiles)
  const own = rows.filter((row) => isWanted(row) && !(isOfState(row) && left.has(row.room_id!)))
  if (left.size === 0) return own
  const ofLeft = await app.stream.rowsBetween({ from, to, roomIds: left, userId: '' })
  return [...own, ...ofLeft.filter(isOfState)]
}

function isOfState({ kind }: StreamRow): boolean {
  return kind === 'event' || kind === 'state'
}

/** Returns joined rooms that are new to the client: the user was not joined before the first of these events. */
async function newlyJoinedRooms(
  app: Reading,
  viewer: SyncViewer,
  changes: readonly RoomChange[],
  joined: ReadonlySet<RoomId>,
): Promise<Set<RoomId>> {
  const newly = new Set<RoomId>()
  for (const { roomId, own, isCompleted } of changes) {
    const firstOwn = own[0]
    if (joined.has(roomId) && isCompleted && !viewer.filter.lazyLoadMembers) newly.add(roomId)
    else if (joined.has(roomId) && firstOwn && !(await wasJoinedAt(app, viewer, firstOwn.before))) newly.add(roomId)
  }
  return newly
}

async function joinedRooms(
  app: Reading,
  viewer: SyncViewer,
  changes: readonly RoomChange[],
  { newlyJoined, fullState, to }: { newlyJoined: ReadonlySet<RoomId>; fullState: boolean; to: number },
): Promise<SyncedRooms['join']> {
  const lasts = await lastEvents(app, changes, to)
  const redacted = await redactedState(app, changes, lasts)
  const changed = await changedSummaries(
    app,
    changes.map((change) => ({ ...change, redacted: redacted.get(change.roomId) ?? [] })),
  )
  const withMembers = changes.filter(({ roomId }) => newlyJoined.has(roomId) || changed.has(roomId))
  const summaries = await loadRoomSummaries(
    app.database,
    withMembers.map(({ roomId }) => roomId),
    viewer.userId,
  )
  const spans: RoomSpan[] = []
  for (const { roomId, events, isCompleted, resolvedMembers } of changes) {
    const last = lasts.get(roomId)
    if (!last) continue
    const first = events[0]
    const isNew = newlyJoined.has(roomId)
    spans.push({
      roomId,
      // After a resync all state is sent again: the client's copy was computed without the members.
      since:
        isNew || fullState || isCompleted ? undefined : ((first ? first.room_before : last.room_after) ?? undefined),
      end: last.room_after ?? 0,
      after: isNew ? -Number.MAX_SAFE_INTEGER : (first?.event_order ?? last.event_order! + 1) - 1,
      last: last.event_order!,
      newest: contiguousEnd(events),
      summary: summaries.get(roomId),
      redacted: redacted.get(roomId) ?? [],
      isNewlyJoined: isNew,
      ...(isCompleted && { members: resolvedMembers }),
    })
  }
  const synced = await syncRooms(app, viewer, spans)
  for (const [roomId, room] of synced) {
    if (!fullState && !newlyJoined.has(roomId) && isSilent(viewer, room)) synced.delete(roomId)
  }
  return synced
}

/** Returns the newest event of each room that may have changes to send. */
async function lastEvents(app: Reading, changes: readonly RoomChange[], to: number): Promise<Map<RoomId, StoredEvent>> {
  const lasts = new Map<RoomId, StoredEvent>()
  for (const { roomId, events, isCompleted, hasRedactions } of changes) {
    const last = events.at(-1) ?? (isCompleted || hasRedactions ? await lastEventAt(app, roomId, to) : undefined)
    if (last) lasts.set(roomId, last)
  }
  return lasts
}

/** Returns the redacted state events of rooms with redactions. */
async function redactedState(
  app: Reading,
  changes: readonly RoomChange[],
  lasts: ReadonlyMap<RoomId, StoredEvent>,
): Promise<Map<RoomId, StoredEvent[]>> {
  const spans = changes.flatMap(({ roomId, events: [first], hasRedactions }) => {
    if (!hasRedactions) return []
    const after = first ? first.event_order! - 1 : lasts.get(roomId)?.event_order
    return typeof after === 'number' ? { roomId, after } : []
  })
  const nids = await loadRedactedState(app.database, spans)
  const events = await loadEvents(app.database, [...nids.values()].flat())
  return new Map([...nids].map(([roomId, ofRoom]) => [roomId, ofRoom.flatMap((nid) => events.get(nid) ?? [])]))
}

/** Returns a room's newest event at a stream position. */
async function lastEventAt(app: Reading, roomId: RoomId, position: number): Promise<StoredEvent | undefined> {
  return findEventAtOrder(app.database, roomId, await findOrderAtPosition(app.database, roomId, position))
}

/** Returns whether only filtered or ignored changes remain: these wake nobody. */
function isSilent({ stateAfter }: SyncViewer, { timeline, summary, ...room }: SyncedRoom): boolean {
  const state = room[stateAfter ?? 'state']?.events ?? []
  return timeline.events.length === 0 && !timeline.limited && !summary && state.length === 0
}

/**
 * Returns the last events without a gap in their order: events that were not loaded are read from the database when
 * needed.
 */
function contiguousEnd(events: readonly StoredEvent[]): StoredEvent[] {
  let start = Math.max(events.length - 1, 0)
  while (start > 0 && events[start - 1]!.event_order === events[start]!.event_order! - 1) start--
  return events.slice(start)
}

/** Returns the rooms whose summary changed: by joins and leaves, or the name. */
async function changedSummaries(
  app: Reading,
  changes: readonly (RoomChange & { redacted: readonly StoredEvent[] })[],
): Promise<ReadonlySet<RoomId>> {
  const changed = new Set<RoomId>()
  const joins: StoredEvent[] = []
  for (const { roomId, events, redacted, hasResolvedMembers, isCompleted } of changes) {
    if (hasResolvedMembers || isCompleted || events.some(isForked)) changed.add(roomId)
    for (const { pdu } of [...events, ...redacted]) if (isName(pdu)) changed.add(roomId)
    for (const event of events) {
      if (event.pdu.type !== 'm.room.member' || event.pdu.state_key === undefined) continue
      if (event.pdu.content.membership === 'join') joins.push(event)
      else changed.add(roomId)
    }
  }
  // A join after a join is only a profile change.
  const undecided = joins.filter(({ room_id }) => !changed.has(room_id))
  const before = await readEventsOfStates(
    app.database,
    undecided.map(({ state_before, pdu }) => ({ root: state_before ?? 0, type: pdu.type, state_key: pdu.state_key! })),
  )
  for (const [place, { room_id }] of undecided.entries())
    if (before[place]?.pdu.content.membership !== 'join') changed.add(room_id)
  return changed
}

function isForked({ state_after, room_after }: StoredEvent): boolean {
  return state_after !== room_after
}

function isName({ type, state_key }: StoredEvent['pdu']): boolean {
  return state_key === '' && (type === 'm.room.name' || type === 'm.room.canonical_alias')
}

async function departuresFrom(app: Reading, viewer: SyncViewer, changes: readonly RoomChange[]): Promise<Departure[]> {
  const departures: Departure[] = []
  const forgotten = await forgottenRooms(app, viewer, changes)
  for (const { roomId, events, own } of changes) {
    const [first, firstOwn, last] = [events[0], own[0], own.at(-1)]
    if (!firstOwn || !last) continue
    const knewRoom = await wasJoinedAt(app, viewer, firstOwn.before)
    const known =
      knewRoom && first
        ? { since: first.room_before ?? undefined, after: first.event_order! - 1 }
        : { since: undefined, after: -Number.MAX_SAFE_INTEGER }
    const ended = forgotten.has(roomId) ? undefined : await endOf(app, viewer, own)
    departures.push({ roomId, last, ended, ...known })
  }
  return departures
}

/** If the user has left and forgotten a room, another device gets only the leave. */
async function forgottenRooms(
  app: Reading,
  { userId }: SyncViewer,
  changes: readonly RoomChange[],
): Promise<ReadonlySet<RoomId>> {
  const departed = changes.flatMap(({ roomId, own }) => (own.length > 0 ? roomId : []))
  if (departed.length === 0) return new Set()
  const memberships = await findMemberships(app.database, userId, departed)
  return new Set(memberships.flatMap(({ room_id, forgotten }) => (forgotten ? room_id : [])))
}

/** Returns the change that ended the user's last joined period; the changes are oldest first. */
async function endOf(app: Reading, viewer: SyncViewer, own: readonly OwnChange[]): Promise<OwnChange | undefined> {
  for (const change of own.toReversed()) {
    if (change.membership !== 'join' && (await wasJoinedAt(app, viewer, change.before))) return change
  }
  return undefined
}

/** Adds the state of joined rooms without changes, for `full_state`. */
async function addUnchangedRooms(
  app: Reading,
  viewer: SyncViewer,
  { synced, isShown }: { synced: SyncedRooms; isShown(roomId: RoomId): boolean },
): Promise<void> {
  const wanted = { userId: viewer.userId, memberships: ['join'] as const, limit: 0, bytes: 0 }
  const { rooms } = await loadNewestOfRooms(app.database, wanted)
  const spans = rooms
    .filter(({ roomId }) => !synced.join.has(roomId) && viewer.filter.takesRoom(roomId) && isShown(roomId))
    .map(({ roomId, stateRoot, lastOrder }) => {
      const bounds = { since: undefined, end: stateRoot, after: lastOrder, last: lastOrder }
      return { roomId, ...bounds, newest: [], summary: undefined }
    })
  for (let start = 0; start < spans.length; start += UNCHANGED_AT_ONCE) {
    // The client has their state already, so it is sent as far as the budget allows.
    if (viewer.budget.state.left <= 0) return
    const some = spans.slice(start, start + UNCHANGED_AT_ONCE)
    for (const [roomId, room] of await syncRooms(app, viewer, some)) synced.join.set(roomId, room)
  }
}

const UNCHANGED_AT_ONCE = 100

/** Adds rooms that were deleted: clients get the user's leave, and nothing else. */
async function addRemovedRooms(
  app: Reading,
  viewer: SyncViewer,
  { leave, from, to, rows }: { leave: SyncedRooms['leave']; from: number; to: number; rows: readonly StreamRow[] },
): Promise<void> {
  for (const [roomId, event] of await removedRooms(app, viewer, { from, rows })) {
    if (!viewer.filter.takesRoom(roomId)) continue
    leave.set(roomId, {
      timeline: { events: [event], limited: false, prev_batch: syncToken(to) },
      [viewer.stateAfter ?? 'state']: { events: viewer.stateAfter ? [event] : [] },
    })
  }
}

/** Adds rooms with only typing, receipts or account data. */
function addQuietRooms(viewer: SyncViewer, synced: SyncedRooms, roomIds: ReadonlySet<RoomId>, to: number): void {
  for (const roomId of roomIds) {
    if (synced.join.has(roomId)) continue
    synced.join.set(roomId, {
      timeline: { events: [], limited: false, prev_batch: syncToken(to) },
      [viewer.stateAfter ?? 'state']: { events: [] },
    })
  }
}
