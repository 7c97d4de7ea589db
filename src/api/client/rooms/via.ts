import { z } from 'zod'
import { isServerName, type ServerName } from '../../../core/ids.ts'

const servers = z.union([z.string().transform((server) => [server]), z.array(z.string())]).optional()

/** The servers that a client says are in a room; `server_name` is what the parameter was called before. */
export const viaQuery = z.object({ via: servers, server_name: servers })

/** Those of the named servers that can be servers. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias */
export function viaServers({ via, server_name }: z.output<typeof viaQuery>): ServerName[] {
  return (via ?? server_name ?? []).filter((server) => isServerName(server))
}
