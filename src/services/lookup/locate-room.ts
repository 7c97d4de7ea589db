import type { App } from '../../app.ts'
import { domainOf, isRoomAlias, type RoomAlias, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import { isRoomHere, loadRoomServers } from '../../storage/rooms/membership/room-servers.ts'
import { loadRoomContacts } from '../../storage/rooms/room-contacts.ts'
import { findRoomHead } from '../../storage/rooms/timeline/room-heads.ts'
import { findRoomAlias } from './find-alias.ts'

/** The location of a room. */
export type RoomLocation = {
  roomId: RoomId
  /** Whether this server can act in it locally: a local user has joined, or the room is abandoned. */
  isHere: boolean
  /** Other servers that may be in it, the best first. */
  servers: ServerName[]
}

/** Enough to find one that can help; each may cost the client a timeout. */
const MAX_SERVERS = 12

/**
 * Resolves a room ID or an alias, and finds servers in the room: those of the alias, those in `via`, those of local
 * users' invites and knocks, and the one in its ID. Throws M_NOT_FOUND for an unknown alias, and 502 if its server is
 * down.
 */
export async function locateRoom(
  app: App,
  { room, via, userId }: { room: RoomId | RoomAlias; via: readonly ServerName[]; userId: UserId },
): Promise<RoomLocation> {
  const target = isRoomAlias(room) ? await findRoomAlias(app, room) : { room_id: room, servers: [] }
  const id = target.room_id
  const [isHere, contacts] = await Promise.all([
    isRoomHere(app.database, id),
    loadRoomContacts(app.database, id, userId),
  ])
  const domain = domainOf(id)
  const known = [...target.servers, ...via, ...contacts]
  // Former servers of the room, and the domain of its ID, are only guesses.
  if (isHere || known.length === 0) known.push(...(await loadRoomServers(app.database, id, MAX_SERVERS)))
  if (known.length === 0 && domain !== undefined) known.push(domain)
  const servers = [...new Set(known)].filter((server) => server !== app.serverName)
  // A room that everybody has left, and no other server has, can be entered again here.
  const isAbandoned = !isHere && servers.length === 0 && (await findRoomHead(app.database, id)) !== undefined
  return { roomId: id, isHere: isHere || isAbandoned, servers: servers.slice(0, MAX_SERVERS) }
}
