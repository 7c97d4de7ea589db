import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import type { Sources } from './fetch-references.ts'

/** For everything that one event needs to be fetched. */
const TIME_LIMIT_MS = 120_000
const OTHER_SERVERS = 3

/** Selects the servers to ask about a room: a given one first, then others that are in the room. */
export async function sourcesOf(
  app: Pick<App, 'database' | 'serverName' | 'stopping'>,
  { roomId, version }: { roomId: RoomId; version: RoomVersion },
  first: ServerName,
): Promise<Sources> {
  const servers = await loadRoomServers(app.database, roomId, OTHER_SERVERS + 2)
  const others = servers.filter((server) => server !== first && server !== app.serverName).slice(0, OTHER_SERVERS)
  const signal = AbortSignal.any([app.stopping, AbortSignal.timeout(TIME_LIMIT_MS)])
  return { server: first, others, roomId, version, signal }
}
