import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { lastWithin } from '../../../core/json/within-bytes.ts'
import { loadEventSizes } from '../../../storage/rooms/timeline/event-sizes.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { SyncViewer } from '../sections/sync-room.ts'

/** A change of the user's own membership: by an event of this range, or by state resolution. */
export type OwnChange = {
  membership: string
  /** The current member event since then; undefined if there is none any more. */
  event: StoredEvent | undefined
  /** event_order of the room's newest event at the time; null if this server is not in the room. */
  order: number | null
  /** State groups of the room before the change and after. */
  before: number | null
  after: number | null
}

/** One room's part of the rows of a sync: its events, oldest first, and the user's membership changes. */
export type RoomChange = {
  roomId: RoomId
  events: StoredEvent[]
  own: OwnChange[]
  /** Whether memberships changed by state resolution, without events that say so. */
  hasResolvedMembers: boolean
  /** The affected users. */
  resolvedMembers: UserId[]
  /** The room's resync has finished. */
  isCompleted: boolean
  /** Whether there were redactions, which may affect the state; also without events, by redactions in history. */
  hasRedactions: boolean
}

const KINDS: readonly string[] = ['event', 'state', 'history', 'room_complete']

/** This many events are loaded without checking their sizes. */
const FEW_EVENTS = 500

/** Groups the room rows of a sync by room. */
export function rowsByRoom(rows: readonly StreamRow[]): Map<RoomId, StreamRow[]> {
  const ofRooms = new Map<RoomId, StreamRow[]>()
  for (const row of rows) {
    if (!KINDS.includes(row.kind) || row.room_id === null) continue
    const ofRoom = ofRooms.get(row.room_id)
    if (ofRoom) ofRoom.push(row)
    else ofRooms.set(row.room_id, [row])
  }
  return ofRooms
}

/** Returns the changes of each room; rooms with the fewest changes first. */
export async function roomChanges(
  app: Pick<App, 'database'>,
  viewer: SyncViewer,
  ofRooms: ReadonlyMap<RoomId, readonly StreamRow[]>,
): Promise<RoomChange[]> {
  const wanted = [...ofRooms.values()].map((rows) => wantedOf(rows, viewer))
  const nids = await fittingNids(app, viewer, wanted)
  const events = await loadEvents(app.database, [...new Set(nids)])
  const quietFirst = [...ofRooms].sort(([, a], [, b]) => a.length - b.length)
  return quietFirst.map(([roomId, ofRoom]) => changeOf(roomId, ofRoom, { viewer, events }))
}

function changeOf(
  roomId: RoomId,
  rows: readonly StreamRow[],
  { viewer, events }: { viewer: SyncViewer; events: ReadonlyMap<number, StoredEvent> },
): RoomChange {
  const change: RoomChange = {
    roomId,
    events: [],
    own: [],
    hasResolvedMembers: false,
    resolvedMembers: [],
    isCompleted: false,
    hasRedactions: rows.some(({ detail }) => detail?.startsWith('redacts ')),
  }
  let last: StoredEvent | undefined
  for (const row of rows) {
    const event = row.ref === null ? undefined : events.get(row.ref)
    // An event that was rejected later by a resync is not included.
    const isThere = row.kind === 'event' && event !== undefined && event.event_order !== null
    if (isThere) last = event
    if (isThere) change.events.push(event)
    if (row.kind === 'room_complete') change.isCompleted = true
    if (row.kind === 'state') change.hasResolvedMembers = true
    if (row.kind === 'state' && row.user_id !== null) change.resolvedMembers.push(row.user_id)
    if (isOwn(row, viewer.userId)) change.own.push(ownChange(row, event, last))
  }
  return change
}

/** The row of an event contains that event; rows of state resolution follow the row of the event that caused it. */
function ownChange(row: StreamRow, event: StoredEvent | undefined, last: StoredEvent | undefined): OwnChange {
  return {
    membership: row.detail ?? 'leave',
    event,
    order: last?.event_order ?? null,
    before: last?.room_before ?? null,
    after: last?.room_after ?? null,
  }
}

/** Returns the change of a member event without state resolution. */
export function changeBy(event: StoredEvent): OwnChange {
  const { event_order: order, room_before: before, room_after: after } = event
  return { membership: String(event.pdu.content.membership), event, order, before, after }
}

function isOwn({ kind, user_id }: StreamRow, userId: UserId): boolean {
  return user_id === userId && (kind === 'event' || kind === 'state')
}

/**
 * After a long absence only the ends are loaded: the first event for the state before it, the newest for the timeline,
 * and the user's own member events with their causes.
 */
function wantedOf(rows: readonly StreamRow[], viewer: SyncViewer): Wanted {
  const nids = rows.flatMap((row) => (row.kind === 'event' ? (row.ref ?? []) : []))
  const own = rows.flatMap((row, place) => {
    if (!isOwn(row, viewer.userId)) return []
    const cause = row.kind === 'state' ? rows.slice(0, place).findLast(({ kind }) => kind === 'event') : undefined
    return [row.ref ?? [], cause?.ref ?? []].flat()
  })
  const newest = viewer.filter.timelineLimit * 2 + 20
  return { ends: [...nids.slice(0, 1), ...own], newest: nids.slice(-newest - 1) }
}

/** Events of a room by nid: those that are always needed, and the newest ones, oldest first. */
type Wanted = { ends: number[]; newest: number[] }

/** Returns the nids to load: of each room the newest that fit the budget. */
async function fittingNids(
  app: Pick<App, 'database'>,
  { budget }: SyncViewer,
  wanted: readonly Wanted[],
): Promise<number[]> {
  const newest = wanted.flatMap((ofRoom) => ofRoom.newest)
  const ends = wanted.flatMap((ofRoom) => ofRoom.ends)
  if (newest.length <= FEW_EVENTS) return [...ends, ...newest]
  const sizes = await loadEventSizes(app.database, newest)
  const fitting = wanted.flatMap((ofRoom) => {
    const sized = ofRoom.newest.map((nid) => ({ nid, size: sizes.get(nid) ?? 0 }))
    return lastWithin(sized, budget.timeline).map(({ nid }) => nid)
  })
  return [...ends, ...fitting]
}

/** Returns whether a user was joined in a state group. */
export async function wasJoinedAt(
  app: Pick<App, 'database'>,
  { userId }: { userId: UserId },
  root: number | null,
): Promise<boolean> {
  if (!root) return false
  const member = await readStateEvent(app.database, root, 'm.room.member', userId)
  return member?.pdu.content.membership === 'join'
}
