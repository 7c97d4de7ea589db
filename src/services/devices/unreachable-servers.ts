import type { App } from '../../app.ts'
import { type ServerName, serverNameOf, type UserId } from '../../core/ids.ts'

/** The `failures` of requests for keys: the servers among these users' that cannot be asked, by name. */
export function unreachableServers(
  app: Pick<App, 'serverName'>,
  userIds: Iterable<UserId>,
): Record<ServerName, { errcode: string; error: string }> {
  const servers = new Set([...userIds].map(serverNameOf).filter((server) => server !== app.serverName))
  const failure = { errcode: 'M_UNKNOWN', error: 'The server cannot be reached' }
  return Object.fromEntries([...servers].map((server) => [server, failure]))
}
