import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { isRoomId, isServerName, type RoomAlias, type RoomId, type ServerName, serverNameOf } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { type ResolvingApp, resolveRoomAlias } from '../rooms/directory/aliases.ts'

const TIMEOUT_MS = 20_000
const MAX_BYTES = 256 * 1024
const MAX_SERVERS = 50

const answer = z.object({
  room_id: z
    .string()
    .refine(isRoomId)
    .transform((id) => id as RoomId),
  // Some servers send null, or omit it, if they know no others.
  servers: z
    .array(z.unknown())
    .nullish()
    .transform((names) => (names ?? []).filter((name) => typeof name === 'string' && isServerName(name))),
})

/**
 * Resolves an alias of any server to a room and servers in it. Throws M_NOT_FOUND and FederationError.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory
 */
export async function findRoomAlias(
  app: ResolvingApp & Pick<App, 'federation'>,
  alias: RoomAlias,
): Promise<{ room_id: RoomId; servers: ServerName[] }> {
  const destination = serverNameOf(alias)
  if (destination === app.serverName) return resolveRoomAlias(app, alias)
  const found = answer.safeParse(await ask(app, destination, alias))
  if (!found.success) throw new FederationError(`${destination} does not say what ${alias} is`, { retryable: false })
  const { room_id, servers } = found.data
  return { room_id, servers: [...new Set([destination, ...(servers as ServerName[])])].slice(0, MAX_SERVERS) }
}

async function ask(app: Pick<App, 'federation'>, destination: ServerName, alias: RoomAlias): Promise<unknown> {
  try {
    return await app.federation.request({
      destination,
      method: 'GET',
      path: '/_matrix/federation/v1/query/directory',
      query: { room_alias: alias },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    })
  } catch (error) {
    if (!(error instanceof FederationError) || error.status !== 404) throw error
    throw new NotFoundError(`The alias ${alias} does not exist`)
  }
}
