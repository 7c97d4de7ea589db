import { z } from 'zod'
import { InvalidParamError } from '../../core/errors.ts'
import { listPublicRooms } from '../../services/rooms/directory/public-rooms.ts'
import { publicRoomsBody, publicRoomsQuery } from '../client/rooms/public-rooms.ts'
import { queryBoolean, queryInteger } from '../http/fields.ts'
import { route } from '../http/route.ts'

const path = '/_matrix/federation/v1/publicRooms'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1publicrooms */
export const getFederationPublicRooms = route({
  method: 'GET',
  path,
  auth: 'server',
  query: z.object({
    limit: queryInteger.optional(),
    since: z.string().optional(),
    include_all_networks: queryBoolean.optional(),
    third_party_instance_id: z.string().optional(),
  }),
  handle({ query }, app) {
    if (query.include_all_networks && query.third_party_instance_id) {
      throw new InvalidParamError('third_party_instance_id: cannot be given together with include_all_networks')
    }
    const { limit, since, third_party_instance_id, include_all_networks: allNetworks } = query
    return listPublicRooms(app, { limit, since, allNetworks, thirdPartyInstance: third_party_instance_id || undefined })
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1publicrooms */
export const postFederationPublicRooms = route({
  method: 'POST',
  path,
  auth: 'server',
  body: publicRoomsBody,
  handle: ({ body }, app) => listPublicRooms(app, publicRoomsQuery(body)),
})
