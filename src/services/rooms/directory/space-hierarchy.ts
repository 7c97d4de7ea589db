import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../../core/errors.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { type ChildEvent, type SpaceChild, spaceChildren } from '../../../core/rooms/space-children.ts'
import { filterRoomsHere } from '../../../storage/rooms/membership/room-servers.ts'
import { readStateOfType } from '../../../storage/rooms/timeline/room-state.ts'
import { stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'
import type { DescribedRoom } from './described-room.ts'
import type { RoomSummary } from './published-room.ts'
import { type SummaryViewer, type VisibleRoom, visibleRooms } from './room-summary.ts'
import type { PendingRoom, SpaceWalk } from './space-walks.ts'

export type HierarchyCommand = {
  roomId: RoomId
  userId: UserId
  suggestedOnly: boolean
  /** Maximum number of levels below the space itself. */
  maxDepth?: number | undefined
  limit?: number | undefined
  from?: string | undefined
  /** Set by the endpoints for administrators only: every room of this server is visible. */
  asAdministrator?: boolean
}

/** Finds rooms that this server is not in, as far as a user may know about them. */
export type FindDescribedRoom = (place: RemotePlace) => Promise<DescribedRoom | undefined>
export type RemotePlace = {
  roomId: RoomId
  /** Servers that may be in it. */
  via: readonly ServerName[]
  /** The summary, if it is known already. */
  summary: RoomSummary | undefined
}

type HierarchyRoom = RoomSummary & { children_state: ChildEvent[] }
type Walk = Pick<HierarchyCommand, 'suggestedOnly'> & {
  viewer: SummaryViewer
  maxDepth: number
  findDescribed: FindDescribedRoom
}
type Place = { here: VisibleRoom } | { elsewhere: RemotePlace }
type FoundRoom = { summary: RoomSummary; children: SpaceChild[]; described?: DescribedRoom }

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MAX_DEPTH = 50
/** A walk ends after this many rooms, and expands no more spaces than these. */
const MAX_ROOMS = 10_000
const MAX_SPACES = 1000
/** Limit of repeated responses when a walk that was not kept is walked again to reach a page. */
const MAX_PASSED_BYTES = 64 * 1024 * 1024
/** Maximum number of rooms per access query. */
const LOOKED_AT_ONCE = 100
const MAX_VIA = 3

/**
 * Returns a page of a space's rooms, depth first and each once, filtered to those that the user may know about. Throws
 * M_FORBIDDEN for an inaccessible space, and M_INVALID_PARAM for a token of other parameters.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 */
export async function readSpaceHierarchy(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'reading'>,
  command: HierarchyCommand,
  findDescribed: FindDescribedRoom,
): Promise<{ rooms: HierarchyRoom[]; next_batch?: string }> {
  const { suggestedOnly, from } = command
  const viewer = viewerOf(command)
  const limit = Math.min(command.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const maxDepth = Math.min(command.maxDepth ?? MAX_DEPTH, MAX_DEPTH)
  const walk: Walk = { viewer, suggestedOnly, maxDepth, findDescribed }
  const last = from === undefined ? undefined : roomOfToken(from, walk)
  const { walked, isResumed } = await beginWalk(app, command)
  const rooms: HierarchyRoom[] = []
  let isEmpty = !isResumed
  let isBeyond = isResumed || last === undefined
  let bytes = 0
  for await (const { room, pending } of walkSpace(app, walk, walked)) {
    isEmpty = false
    bytes += JSON.stringify(room).length
    if (isBeyond) {
      const isFull = rooms.length === limit || (rooms.length > 0 && bytes > app.config.limits.answers.page)
      if (isFull) return { rooms, next_batch: keepWalk(app, command, { walk, walked, pending, last: rooms.at(-1)! }) }
      rooms.push(room)
    } else if (room.room_id === last) {
      isBeyond = true
      bytes = 0
    } else if (bytes > MAX_PASSED_BYTES) {
      throw new InvalidParamError('from: this token has expired; ask for the first page again')
    }
  }
  if (isEmpty) throw new ForbiddenError('You may not see this room')
  if (!isBeyond) throw new InvalidParamError('from: is not a token of this space as it is now')
  return { rooms }
}

/** Returns the walk for a page: the one kept by the previous page, or a new one from the start. */
async function beginWalk(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'reading'>,
  command: HierarchyCommand,
): Promise<{ walked: SpaceWalk; isResumed: boolean }> {
  const { roomId, from } = command
  const start = { depth: 0, roomId, via: [], summary: undefined }
  const kept = from === undefined ? undefined : app.reading.spaceWalks.get(keyOf(command, from))
  if (!kept) return { walked: { seen: new Set(), stack: [start], spaces: 0 }, isResumed: false }
  const root = (await placesOf(app, viewerOf(command), [start])).get(start)
  if (!root) throw new ForbiddenError('You may not see this room')
  // Copied, since the same page may be requested again.
  return { walked: { seen: new Set(kept.seen), stack: [...kept.stack], spaces: kept.spaces }, isResumed: true }
}

/** Keeps a walk for the page that begins with the room `pending`, and returns the token of that page. */
function keepWalk(
  app: Pick<App, 'database' | 'reading'>,
  command: HierarchyCommand,
  { walk, walked, pending, last }: { walk: Walk; walked: SpaceWalk; pending: PendingRoom; last: HierarchyRoom },
): string {
  walked.seen.delete(pending.roomId)
  walked.stack.push(pending)
  const token = `${tokenPrefix(walk)}${last.room_id}`
  app.reading.spaceWalks.set(keyOf(command, token), walked)
  return token
}

function keyOf({ roomId, userId, asAdministrator = false }: HierarchyCommand, token: string): string {
  return `${asAdministrator ? 'administrator ' : ''}${userId} ${roomId} ${token}`
}

function viewerOf({ userId, asAdministrator }: HierarchyCommand): SummaryViewer {
  return asAdministrator ? 'administrator' : userId
}

/** Returns the children of a local space in order, as many as fit into the limit; other rooms have none. */
export async function childrenOf(
  app: Pick<App, 'database' | 'config'>,
  room: VisibleRoom,
  suggestedOnly: boolean,
): Promise<SpaceChild[]> {
  if (room.summary.room_type !== 'm.space') return []
  const budget = stateBudget(app.config.limits.answers.page)
  const state = await readStateOfType(app.database, room.stateRoot, { type: 'm.space.child', budget })
  return wantedChildren(
    state.map(({ pdu }) => pdu),
    suggestedOnly,
  )
}

/** Returns a child event as shown in the hierarchy. */
export function strippedChild({ type, state_key, sender, content, origin_server_ts }: ChildEvent): ChildEvent {
  return { type, ...(state_key !== undefined && { state_key }), sender, content, origin_server_ts }
}

/** A token contains the room after which to continue, so that it is valid at any process and never expires. */
function tokenPrefix({ maxDepth, suggestedOnly }: Walk): string {
  return `h1_${maxDepth}_${suggestedOnly ? 's' : 'a'}_`
}

function roomOfToken(token: string, walk: Walk): string {
  const prefix = tokenPrefix(walk)
  if (token.startsWith(prefix)) return token.slice(prefix.length)
  throw new InvalidParamError('from: is no token of a request with this max_depth and suggested_only')
}

/** Continues a walk and mutates it. Only its history shows loops and rooms in several places. */
async function* walkSpace(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  walk: Walk,
  walked: SpaceWalk,
): AsyncGenerator<{ room: HierarchyRoom; pending: PendingRoom }> {
  const { seen, stack } = walked
  const places = new Map<PendingRoom, Place | undefined>()
  for (let pending = stack.pop(); pending && seen.size < MAX_ROOMS; pending = stack.pop()) {
    if (seen.has(pending.roomId)) continue
    seen.add(pending.roomId)
    if (!places.has(pending)) {
      const later = stack.slice(1 - LOOKED_AT_ONCE).filter((other) => !places.has(other) && !seen.has(other.roomId))
      for (const [found, place] of await placesOf(app, walk.viewer, [pending, ...later])) places.set(found, place)
    }
    const place = places.get(pending)
    places.delete(pending)
    const room = place && (await findRoom(app, walk, place))
    if (!room) continue
    yield { pending, room: { ...room.summary, children_state: room.children.map(({ event }) => strippedChild(event)) } }
    if (pending.depth < walk.maxDepth) pushChildren(walked, room, pending.depth + 1)
  }
}

/** Pushes the children of a room onto the stack in reverse order. */
function pushChildren(walked: SpaceWalk, { children, described }: FoundRoom, depth: number): void {
  if (children.length === 0 || walked.spaces >= MAX_SPACES) return
  walked.spaces++
  const unseen = children.filter(({ roomId }) => !walked.seen.has(roomId))
  const pending = unseen.slice(0, MAX_ROOMS - walked.stack.length).map(
    ({ roomId, via }): PendingRoom => ({
      depth,
      roomId,
      via: [...new Set([...(described ? [described.server] : []), ...via.slice(0, MAX_VIA)])],
      summary: described?.childSummaries.get(roomId),
    }),
  )
  walked.stack.push(...pending.reverse())
}

async function findRoom(
  app: Pick<App, 'config' | 'database'>,
  walk: Walk,
  place: Place,
): Promise<FoundRoom | undefined> {
  if ('here' in place) {
    return { summary: place.here.summary, children: await childrenOf(app, place.here, walk.suggestedOnly) }
  }
  const described = await walk.findDescribed(place.elsewhere)
  return (
    described && {
      summary: described.summary,
      children: wantedChildren(described.children, walk.suggestedOnly),
      described,
    }
  )
}

function wantedChildren(events: readonly ChildEvent[], suggestedOnly: boolean): SpaceChild[] {
  const children = spaceChildren(events)
  return suggestedOnly ? children.filter(({ suggested }) => suggested) : children
}

/** Decides where to look for some rooms; undefined for rooms that this server is in and the user may not know about. */
async function placesOf(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  viewer: SummaryViewer,
  pending: readonly PendingRoom[],
): Promise<Map<PendingRoom, Place | undefined>> {
  const ids = [...new Set(pending.map(({ roomId }) => roomId))]
  const [visible, here] = await Promise.all([
    visibleRooms(app, ids, viewer),
    filterRoomsHere(app.database, ids).then((rooms) => new Set(rooms)),
  ])
  return new Map(
    pending.map((each): [PendingRoom, Place | undefined] => {
      const { roomId, via, summary } = each
      const room = visible.get(roomId)
      if (here.has(roomId)) return [each, room && { here: room }]
      return [each, summary === null ? undefined : { elsewhere: { roomId, via, summary } }]
    }),
  )
}
