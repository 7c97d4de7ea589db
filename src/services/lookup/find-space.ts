import { z } from 'zod'
import type { App } from '../../app.ts'
import { domainOf, isUserId, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import type { ChildEvent } from '../../core/rooms/space-children.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { findMembership, isJoinedToAny } from '../../storage/rooms/membership/room-memberships.ts'
import { remoteRoomSummary } from '../federation/requests/remote-room-fields.ts'
import type { DescribedRoom } from '../rooms/directory/described-room.ts'
import type { RoomSummary } from '../rooms/directory/published-room.ts'
import {
  type FindDescribedRoom,
  type HierarchyCommand,
  readSpaceHierarchy,
} from '../rooms/directory/space-hierarchy.ts'

type SpaceApp = Pick<App, 'config' | 'database' | 'serverName' | 'federation' | 'logger' | 'reading' | 'remote'>

const TIMEOUT_MS = 10_000
const MAX_BYTES = 8 * 1024 * 1024
const MAX_SERVERS = 3
/** Limit per client request: spaces may name any number of servers that are down. */
const MAX_FAILURES = 8
/** Maximum bytes of other servers' responses per client request. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/** As `readSpaceHierarchy`, with rooms that only other servers know. */
export function findSpaceHierarchy(app: SpaceApp, command: HierarchyCommand): ReturnType<typeof readSpaceHierarchy> {
  let failures = 0
  let bytes = 0
  const findDescribed: FindDescribedRoom = async ({ roomId, via, summary }) => {
    // Summarised by the server of the space; only spaces need a request of their own.
    const leaf = summary && summary.room_type !== 'm.space' ? alone(summary) : undefined
    if (!leaf && (failures >= MAX_FAILURES || bytes >= MAX_ANSWER_BYTES)) return undefined
    const room = leaf ?? (await askForSpace(app, roomId, via))
    if (!room) failures++
    bytes += room?.bytes ?? 0
    const found = room ?? (summary && alone(summary))
    return found && (await mayKnow(app, found.summary, command.userId)) ? found : undefined
  }
  return readSpaceHierarchy(app, command, findDescribed)
}

/** Returns a room without children. */
function alone(summary: RoomSummary): DescribedRoom {
  return { summary, children: [], server: '' as ServerName, childSummaries: new Map(), bytes: 1 }
}

/**
 * Requests a space or a room from the first of some servers that knows it; undefined if none does. Cached for some
 * minutes.
 */
export async function askForSpace(
  app: SpaceApp,
  roomId: RoomId,
  via: readonly ServerName[],
): Promise<DescribedRoom | undefined> {
  const cache = app.remote.spaces
  const known = cache.get(roomId)
  if (known) return known
  const domain = domainOf(roomId)
  const servers = [...new Set([...via, ...(domain ? [domain] : [])])].filter((server) => server !== app.serverName)
  for (const server of servers.slice(0, MAX_SERVERS)) {
    const room = await ask(app, server, roomId)
    if (!room) continue
    cache.set(roomId, room)
    return room
  }
  return undefined
}

const childEvent = z.looseObject({
  type: z.string(),
  state_key: z.string(),
  sender: z.string().refine(isUserId),
  content: z.record(z.string(), z.json()),
  origin_server_ts: z.int().catch(0),
})
const listOf = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .array(z.unknown())
    .transform((all) => all.flatMap((each) => schema.safeParse(each).data ?? []))
    .catch([])
const answer = z.object({
  room: remoteRoomSummary.extend({ children_state: listOf(childEvent) }),
  children: listOf(remoteRoomSummary),
  inaccessible_children: z.array(z.string()).catch([]),
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid */
async function ask(app: SpaceApp, server: ServerName, roomId: RoomId): Promise<DescribedRoom | undefined> {
  const path = `/_matrix/federation/v1/hierarchy/${encodeURIComponent(roomId)}`
  const query = { suggested_only: false }
  try {
    const space = answer.parse(
      await app.federation.request({
        destination: server,
        method: 'GET',
        path,
        query,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
      }),
    )
    const { children_state, ...summary } = space.room
    if (summary.room_id !== roomId) return undefined
    return {
      summary: summary as RoomSummary,
      children: children_state as ChildEvent[],
      server,
      bytes: JSON.stringify(space).length,
      childSummaries: new Map([
        ...space.inaccessible_children.map((id) => [id as RoomId, null] as const),
        ...space.children.map((child) => [child.room_id as RoomId, child as RoomSummary] as const),
      ]),
    }
  } catch (error) {
    if (!(error instanceof FederationError || error instanceof z.ZodError)) throw error
    app.logger.debug({ err: error, server, room_id: roomId }, 'remote space hierarchy request failed')
    return undefined
  }
}

/** Returns whether a user may know about a room summarised by another server, which does not know the user. */
export async function mayKnow(
  app: Pick<App, 'database'>,
  summary: RoomSummary,
  userId: UserId | undefined,
): Promise<boolean> {
  if (summary.world_readable || ['public', 'knock', 'knock_restricted'].includes(summary.join_rule ?? 'public'))
    return true
  if (userId === undefined) return false
  if (await isJoinedToAny(app.database, userId, summary.allowed_room_ids ?? [])) return true
  const membership = await findMembership(app.database, summary.room_id, userId)
  return membership?.membership === 'invite' || membership?.membership === 'join'
}
