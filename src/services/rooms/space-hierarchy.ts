import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import { type ChildEvent, type SpaceChild, spaceChildren } from '../../core/space-children.ts'
import { filterRoomsHere } from '../../storage/room-servers.ts'
import { readStateOfType } from '../../storage/room-state.ts'
import { stateBudget } from '../../storage/state-budget.ts'
import { type RoomSummary, type VisibleRoom, visibleRooms } from './room-summary.ts'

export type HierarchyCommand = {
  roomId: RoomId
  userId: UserId
  suggestedOnly: boolean
  /** How many levels below the space itself. */
  maxDepth?: number | undefined
  limit?: number | undefined
  from?: string | undefined
}

/** A room that this server is not in, as others tell of it. */
export type ForeignRoom = {
  summary: RoomSummary
  children: ChildEvent[]
  /** Who told. */
  server: ServerName
  /** What was told about the children at the same time; null: nobody may know about that room. */
  told: ReadonlyMap<RoomId, RoomSummary | null>
  /** What that is in memory, more or less. */
  bytes: number
}

/** Finds rooms that this server is not in, as far as a user may know about them. */
export type FindForeignRoom = (place: ForeignPlace) => Promise<ForeignRoom | undefined>
export type ForeignPlace = {
  roomId: RoomId
  /** Servers that may be in it. */
  via: readonly ServerName[]
  /** What is known of it already. */
  summary: RoomSummary | undefined
}

type HierarchyRoom = RoomSummary & { children_state: ChildEvent[] }
type Walk = { userId: UserId; suggestedOnly: boolean; maxDepth: number; findForeign: FindForeignRoom }
type Place = { depth: number; here: VisibleRoom } | { depth: number; elsewhere: ForeignPlace }
type FoundRoom = { summary: RoomSummary; children: SpaceChild[]; foreign?: ForeignRoom }

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MAX_DEPTH = 50

/**
 * A page of a space's rooms, depth first, each once, as far as the user may know about them. Throws M_FORBIDDEN for a space that they may not, and
 * M_INVALID_PARAM for a token of other parameters. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 */
export async function readSpaceHierarchy(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  command: HierarchyCommand,
  findForeign: FindForeignRoom,
): Promise<{ rooms: HierarchyRoom[]; next_batch?: string }> {
  const { roomId, userId, suggestedOnly } = command
  const limit = Math.min(command.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const maxDepth = Math.min(command.maxDepth ?? MAX_DEPTH, MAX_DEPTH)
  const walk: Walk = { userId, suggestedOnly, maxDepth, findForeign }
  const last = command.from === undefined ? undefined : roomOfToken(command.from, walk)
  const rooms: HierarchyRoom[] = []
  let isEmpty = true
  let isBeyond = last === undefined
  let isFull = false
  let bytes = 0
  for await (const room of walkSpace(app, roomId, walk)) {
    isEmpty = false
    if (isBeyond) {
      bytes += JSON.stringify(room).length
      isFull = rooms.length === limit || (rooms.length > 0 && bytes > app.config.limits.answers.page)
      if (isFull) break
      rooms.push(room)
    }
    isBeyond ||= room.room_id === last
  }
  if (isEmpty) throw new ForbiddenError('You may not see this room')
  if (!isBeyond) throw new InvalidParamError('from: is not a token of this space as it is now')
  return isFull ? { rooms, next_batch: `${tokenPrefix(walk)}${rooms.at(-1)!.room_id}` } : { rooms }
}

/** The children of a space of this server in their order, as many as there is room for; other rooms have none. */
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

/** The event as it is told with a space. */
export function strippedChild({ type, state_key, sender, content, origin_server_ts }: ChildEvent): ChildEvent {
  return { type, ...(state_key !== undefined && { state_key }), sender, content, origin_server_ts }
}

/** A token says after which room to go on, so that it holds for any process and however long. */
function tokenPrefix({ maxDepth, suggestedOnly }: Walk): string {
  return `h1_${maxDepth}_${suggestedOnly ? 's' : 'a'}_`
}

function roomOfToken(token: string, walk: Walk): string {
  const prefix = tokenPrefix(walk)
  if (token.startsWith(prefix)) return token.slice(prefix.length)
  throw new InvalidParamError('from: is no token of a request with this max_depth and suggested_only')
}

/** Every page walks from the start: loops and rooms in several places are only known from what came before. */
async function* walkSpace(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  rootId: RoomId,
  walk: Walk,
): AsyncGenerator<HierarchyRoom> {
  const seen = new Set<RoomId>()
  const stack = await placesOf(app, walk, { children: [{ roomId: rootId, via: [] }], depth: 0 })
  for (let place = stack.pop(); place; place = stack.pop()) {
    const roomId = 'here' in place ? place.here.summary.room_id : place.elsewhere.roomId
    if (seen.has(roomId)) continue
    seen.add(roomId)
    const room = await findRoom(app, walk, place)
    if (!room) continue
    yield { ...room.summary, children_state: room.children.map(({ event }) => strippedChild(event)) }
    if (place.depth >= walk.maxDepth) continue
    const children = room.children.filter((child) => !seen.has(child.roomId))
    stack.push(...(await placesOf(app, walk, { children, depth: place.depth + 1, foreign: room.foreign })))
  }
}

async function findRoom(
  app: Pick<App, 'config' | 'database'>,
  walk: Walk,
  place: Place,
): Promise<FoundRoom | undefined> {
  if ('here' in place) {
    return { summary: place.here.summary, children: await childrenOf(app, place.here, walk.suggestedOnly) }
  }
  const foreign = await walk.findForeign(place.elsewhere)
  return (
    foreign && { summary: foreign.summary, children: wantedChildren(foreign.children, walk.suggestedOnly), foreign }
  )
}

function wantedChildren(events: readonly ChildEvent[], suggestedOnly: boolean): SpaceChild[] {
  const children = spaceChildren(events)
  return suggestedOnly ? children.filter(({ suggested }) => suggested) : children
}

/** Where to look for some rooms, the first of them last. Of those that this server is in, those that the user may not know about are left out. */
async function placesOf(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  { userId }: Walk,
  {
    children,
    depth,
    foreign,
  }: { children: readonly Pick<SpaceChild, 'roomId' | 'via'>[]; depth: number; foreign?: ForeignRoom | undefined },
): Promise<Place[]> {
  const ids = children.map(({ roomId }) => roomId)
  const [visible, here] = await Promise.all([
    visibleRooms(app, ids, userId),
    filterRoomsHere(app.database, ids).then((rooms) => new Set(rooms)),
  ])
  const places = children.flatMap(({ roomId, via }): Place[] => {
    const room = visible.get(roomId)
    if (here.has(roomId)) return room ? [{ depth, here: room }] : []
    const summary = foreign?.told.get(roomId)
    if (summary === null) return []
    const servers = [...new Set([...(foreign ? [foreign.server] : []), ...via])]
    return [{ depth, elsewhere: { roomId, via: servers, summary } }]
  })
  return places.reverse()
}
