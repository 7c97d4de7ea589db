import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { lastWithin } from '../../../core/json/within-bytes.ts'
import { loadEventSizes } from '../../../storage/rooms/timeline/event-sizes.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { SyncViewer } from './sync-room.ts'

/** A change of the user's own membership: by an event of this span, or as forks were resolved. */
export type OwnChange = {
  membership: string
  /** The member event that counts since then; undefined where there is none any more. */
  event: StoredEvent | undefined
  /** event_order of the room's newest event then; null when this server is not in the room. */
  order: number | null
  /** Roots of the room's state, before the change and after. */
  before: number | null
  after: number | null
}

/** One room's part of the rows of a sync: its events, oldest first, and what became of the user there. */
export type RoomChange = {
  roomId: RoomId
  events: StoredEvent[]
  own: OwnChange[]
  /** Memberships changed as forks were resolved, without events that say so. */
  hasResolvedMembers: boolean
  /** Whose. */
  resolvedMembers: UserId[]
  /** All members of the room have become known. */
  isCompleted: boolean
  /** Whether something was redacted, which may be a piece of the state. */
  hasRedactions: boolean
}

const KINDS: readonly string[] = ['event', 'state', 'room_complete']

/** So many events are loaded without a look at their sizes. */
const FEW_EVENTS = 500

/** The rows of a sync that say what happened in each room. */
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

/** What happened in each room, by its rows: those rooms first in which the least happened. */
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
    // An event that was rejected later, when more was known, is none.
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

/** The row of an event has the event that was sent; others follow the row of the event that brought them about. */
function ownChange(row: StreamRow, event: StoredEvent | undefined, last: StoredEvent | undefined): OwnChange {
  return {
    membership: row.detail ?? 'leave',
    event,
    order: last?.event_order ?? null,
    before: last?.room_before ?? null,
    after: last?.room_after ?? null,
  }
}

/** The change that a member event is, where no forks are in play. */
export function changeBy(event: StoredEvent): OwnChange {
  const { event_order: order, room_before: before, room_after: after } = event
  return { membership: String(event.pdu.content.membership), event, order, before, after }
}

function isOwn({ kind, user_id }: StreamRow, userId: UserId): boolean {
  return user_id === userId && (kind === 'event' || kind === 'state')
}

/**
 * Of a long absence only the ends are loaded: the first event for the state before it, the newest for the timeline, the
 * user's own and what brought them about.
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

/** Events of a room by nid: those that are needed in any case, and the newest ones, oldest first. */
type Wanted = { ends: number[]; newest: number[] }

/** What is loaded: of each room the newest as far as there is room for them. */
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

/** Whether a user was joined in the state at a root. */
export async function wasJoinedAt(
  app: Pick<App, 'database'>,
  { userId }: { userId: UserId },
  root: number | null,
): Promise<boolean> {
  if (!root) return false
  const member = await readStateEvent(app.database, root, 'm.room.member', userId)
  return member?.pdu.content.membership === 'join'
}
