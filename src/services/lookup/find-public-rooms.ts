import { z } from 'zod'
import type { App } from '../../app.ts'
import type { ServerName } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { remotePublishedRoom } from '../federation/requests/remote-room-fields.ts'
import { listPublicRooms, type PublicRooms, type PublicRoomsQuery } from '../rooms/directory/public-rooms.ts'

const TIMEOUT_MS = 20_000
const MAX_BYTES = 8 * 1024 * 1024
/** The limit sent to other servers if the client sets none. */
const DEFAULT_LIMIT = 500

const optionalToken = z
  .string()
  .nullish()
  .transform((token) => token || undefined)
  .catch(undefined)

const answer = z.object({
  chunk: z
    .array(z.unknown())
    .transform((rooms) => rooms.flatMap((each) => remotePublishedRoom.safeParse(each).data ?? [])),
  next_batch: optionalToken,
  prev_batch: optionalToken,
  total_room_count_estimate: z.int().min(0).catch(0),
})

/**
 * Returns a page of this or another server's directory. Throws M_INVALID_PARAM and FederationError.
 * https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
 */
export async function findPublicRooms(
  app: Pick<App, 'database' | 'serverName' | 'federation'>,
  server: ServerName | undefined,
  query: PublicRoomsQuery,
): Promise<PublicRooms> {
  if (server === undefined || server === app.serverName) return listPublicRooms(app, query)
  const response = answer.safeParse(await ask(app, server, query))
  if (!response.success) throw new FederationError(`${server} does not list rooms as it should`, { retryable: false })
  return response.data as PublicRooms
}

/** Old servers support only GET, which cannot search. */
function ask(
  { federation }: Pick<App, 'federation'>,
  destination: ServerName,
  query: PublicRoomsQuery,
): Promise<unknown> {
  const {
    searchTerm,
    roomTypes,
    since,
    thirdPartyInstance: third_party_instance_id,
    allNetworks: include_all_networks,
    limit = DEFAULT_LIMIT,
  } = query
  const path = '/_matrix/federation/v1/publicRooms'
  const bounds = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
  if (searchTerm === undefined && roomTypes === undefined) {
    const parameters = { limit, since, third_party_instance_id, include_all_networks }
    return federation.request({ destination, method: 'GET', path, query: parameters, ...bounds })
  }
  const filter = {
    ...(searchTerm !== undefined && { generic_search_term: searchTerm }),
    ...(roomTypes && { room_types: roomTypes }),
  }
  const body = {
    limit,
    filter,
    ...(since !== undefined && { since }),
    ...(third_party_instance_id !== undefined && { third_party_instance_id }),
    ...(include_all_networks !== undefined && { include_all_networks }),
  }
  return federation.request({ destination, method: 'POST', path, body, ...bounds })
}
