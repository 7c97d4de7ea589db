import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import { findPublicRooms } from '../../../services/lookup/find-public-rooms.ts'
import type { PublicRoomsQuery } from '../../../services/rooms/directory/public-rooms.ts'
import { v3 } from '../../http/client-paths.ts'
import { queryInteger, serverName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const filter = z.object({
  generic_search_term: z.string().nullish(),
  room_types: z.array(z.string().nullable()).nullish(),
})

/** The query of clients and servers to a room directory. */
export const publicRoomsBody = z.object({
  limit: z.int().min(0).nullish(),
  since: z.string().nullish(),
  filter: filter.nullish(),
  include_all_networks: z.boolean().nullish(),
  third_party_instance_id: z.string().nullish(),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms */
export const getPublicRooms = route({
  method: 'GET',
  path: v3('/publicRooms'),
  auth: 'optional',
  rateLimit: 'search',
  query: z.object({
    limit: queryInteger.optional(),
    since: z.string().optional(),
    server: serverName.optional(),
  }),
  handle: ({ query: { limit, since, server } }, app) => findPublicRooms(app, server, { limit, since }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms */
export const postPublicRooms = route({
  method: 'POST',
  path: v3('/publicRooms'),
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'search',
  query: z.object({ server: serverName.optional() }),
  body: publicRoomsBody,
  handle: ({ query, body }, app) => findPublicRooms(app, query.server, publicRoomsQuery(body)),
})

/** Parses a body into a directory query. Throws M_INVALID_PARAM. */
export function publicRoomsQuery(body: z.output<typeof publicRoomsBody>): PublicRoomsQuery {
  if (body.include_all_networks && body.third_party_instance_id) {
    throw new InvalidParamError('third_party_instance_id: cannot be given together with include_all_networks')
  }
  return {
    limit: body.limit ?? undefined,
    since: body.since ?? undefined,
    searchTerm: body.filter?.generic_search_term || undefined,
    roomTypes: body.filter?.room_types ?? undefined,
    thirdPartyInstance: body.third_party_instance_id || undefined,
    allNetworks: body.include_all_networks ?? undefined,
  }
}
