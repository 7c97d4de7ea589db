import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { type SpaceChild, spaceChildren } from '../../core/space-children.ts'
import { readAllState } from '../../storage/room-state.ts'
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

type HierarchyRoom = RoomSummary & { children_state: JsonObject[] }
type Walk = { userId: UserId; suggestedOnly: boolean; maxDepth: number }

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MAX_DEPTH = 50

/**
 * A page of a space's rooms, depth first, each once, as far as the user may know about them. Throws M_FORBIDDEN for a space that they may not, and
 * M_INVALID_PARAM for a token of other parameters. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 */
export async function readSpaceHierarchy(
  app: Pick<App, 'database'>,
  command: HierarchyCommand,
): Promise<{ rooms: HierarchyRoom[]; next_batch?: string }> {
  const { roomId, userId, suggestedOnly } = command
  const root = (await visibleRooms(app, [roomId], userId)).get(roomId)
  if (!root) throw new ForbiddenError('You may not see this room')
  const limit = Math.min(command.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const walk: Walk = { userId, suggestedOnly, maxDepth: Math.min(command.maxDepth ?? MAX_DEPTH, MAX_DEPTH) }
  const last = command.from === undefined ? undefined : roomOfToken(command.from, walk)
  const rooms: HierarchyRoom[] = []
  let isBeyond = last === undefined
  for await (const room of walkSpace(app, root, walk)) {
    if (isBeyond) rooms.push(room)
    isBeyond ||= room.room_id === last
    if (rooms.length > limit) break
  }
  if (!isBeyond) throw new InvalidParamError('from: is not a token of this space as it is now')
  if (rooms.length <= limit) return { rooms }
  const page = rooms.slice(0, limit)
  return { rooms: page, next_batch: `${tokenPrefix(walk)}${page.at(-1)!.room_id}` }
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
async function* walkSpace(app: Pick<App, 'database'>, root: VisibleRoom, walk: Walk): AsyncGenerator<HierarchyRoom> {
  const seen = new Set<RoomId>()
  const stack = [{ room: root, depth: 0 }]
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { room, depth } = next
    if (seen.has(room.summary.room_id)) continue
    seen.add(room.summary.room_id)
    const children = await childrenOf(app, room, walk)
    yield { ...room.summary, children_state: children.map(strippedChild) }
    if (depth >= walk.maxDepth) continue
    const ids = children.map(({ roomId }) => roomId).filter((roomId) => !seen.has(roomId))
    const visible = await visibleRooms(app, ids, walk.userId)
    for (const roomId of ids.reverse()) {
      const child = visible.get(roomId)
      if (child) stack.push({ room: child, depth: depth + 1 })
    }
  }
}

async function childrenOf(app: Pick<App, 'database'>, room: VisibleRoom, walk: Walk): Promise<SpaceChild[]> {
  if (room.summary.room_type !== 'm.space') return []
  const children = spaceChildren(await readAllState(app.database, room.stateRoot, 'rest'))
  return walk.suggestedOnly ? children.filter(({ suggested }) => suggested) : children
}

function strippedChild({ event: { pdu } }: SpaceChild): JsonObject {
  const { type, state_key = '', sender, content, origin_server_ts } = pdu
  return { type, state_key, sender, content, origin_server_ts }
}
