import { z } from 'zod'
import { isServerName, type ServerName } from '../../../core/ids.ts'

const servers = z.union([z.string().transform((server) => [server]), z.array(z.string())]).optional()

/** Servers that, according to the client, are in the room. `server_name` is the former name of the parameter. */
export const viaQuery = z.object({ via: servers, server_name: servers })

/**
 * Returns the valid server names among those given.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias
 */
export function viaServers({ via, server_name }: z.output<typeof viaQuery>): ServerName[] {
  return (via ?? server_name ?? []).filter((server) => isServerName(server))
}
