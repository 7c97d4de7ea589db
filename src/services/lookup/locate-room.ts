import type { App } from '../../app.ts'
import { domainOf, isRoomAlias, type RoomAlias, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import { isRoomHere, loadRoomServers } from '../../storage/rooms/membership/room-servers.ts'
import { loadRoomContacts } from '../../storage/rooms/room-contacts.ts'
import { findRoomHead } from '../../storage/rooms/timeline/room-heads.ts'
import { findRoomAlias } from './find-alias.ts'

/** Where a room is. */
export type RoomLocation = {
  roomId: RoomId
  /** Whether this server can act in it by itself: a user of it has joined, or nobody at all is there. */
  isHere: boolean
  /** Other servers that may be in it, the best first. */
  servers: ServerName[]
}

/** Enough to find one that can help; each may cost the client a time-out. */
const MAX_SERVERS = 12

/**
 * Finds the room that an id or an alias means, and servers that are in it: those of the alias, those that the client
 * names (`via`), those that one of our users had to do with, the one that its id names. Throws M_NOT_FOUND for an alias
 * that does not exist, and 502 when its server is down.
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
  // Who was in the room when this server was, and where somebody made it long ago, is no more than a guess.
  if (isHere || known.length === 0) known.push(...(await loadRoomServers(app.database, id, MAX_SERVERS)))
  if (known.length === 0 && domain !== undefined) known.push(domain)
  const servers = [...new Set(known)].filter((server) => server !== app.serverName)
  // Where everybody has left and nobody else can have the room, it is still here.
  const isAbandoned = !isHere && servers.length === 0 && (await findRoomHead(app.database, id)) !== undefined
  return { roomId: id, isHere: isHere || isAbandoned, servers: servers.slice(0, MAX_SERVERS) }
}
