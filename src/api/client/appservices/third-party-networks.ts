import { z } from 'zod'
import {
  findLocations,
  findThirdPartyUsers,
  getProtocol,
  listProtocols,
  locationsOfAlias,
  usersOfId,
} from '../../../services/appservices/third-party-networks.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomAlias, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const params = z.object({ protocol: z.string() })
/** The third-party protocol defines which fields there are. */
const fields = z.record(z.string(), z.union([z.string(), z.array(z.string())]))
/** Parameters for this server, which are not passed to the application service. */
const OWN_PARAMETERS: readonly string[] = ['access_token', 'user_id', 'device_id', 'org.matrix.msc3202.device_id']

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols */
export const getThirdPartyProtocols = route({
  method: 'GET',
  path: v3('/thirdparty/protocols'),
  auth: 'user',
  handle: (_, app) => listProtocols(app),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol */
export const getThirdPartyProtocol = route({
  method: 'GET',
  path: v3('/thirdparty/protocol/:protocol'),
  auth: 'user',
  params,
  handle: ({ params }, app) => getProtocol(app, params.protocol),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocationprotocol */
export const getThirdPartyLocations = route({
  method: 'GET',
  path: v3('/thirdparty/location/:protocol'),
  auth: 'user',
  params,
  query: fields,
  handle: ({ params, query }, app) => findLocations(app, params.protocol, passedOn(query)),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuserprotocol */
export const getThirdPartyUsers = route({
  method: 'GET',
  path: v3('/thirdparty/user/:protocol'),
  auth: 'user',
  params,
  query: fields,
  handle: ({ params, query }, app) => findThirdPartyUsers(app, params.protocol, passedOn(query)),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation */
export const getThirdPartyLocationsOfAlias = route({
  method: 'GET',
  path: v3('/thirdparty/location'),
  auth: 'user',
  query: z.object({ alias: roomAlias }),
  handle: ({ query }, app) => locationsOfAlias(app, query.alias),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuser */
export const getThirdPartyUsersOfId = route({
  method: 'GET',
  path: v3('/thirdparty/user'),
  auth: 'user',
  query: z.object({ userid: userId }),
  handle: ({ query }, app) => usersOfId(app, query.userid),
})

function passedOn(query: z.output<typeof fields>): [string, string][] {
  return Object.entries(query)
    .filter(([name]) => !OWN_PARAMETERS.includes(name))
    .flatMap(([name, values]) => [values].flat().map((value): [string, string] => [name, value]))
}
