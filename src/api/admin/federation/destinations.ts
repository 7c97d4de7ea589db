import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import type { ServerName } from '../../../core/ids.ts'
import {
  countDestinations,
  countRoomsOfServer,
  DESTINATION_ORDERS,
  findDestination,
  type ListedDestination,
  listDestinations,
  listRoomsOfServer,
} from '../../../storage/federation/destination-lists.ts'
import { endBackOff } from '../../../storage/federation/destinations.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { serverName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { listPage, nextToken, searchTerm, v1 } from '../admin-fields.ts'

export const ofServer = z.object({ destination: serverName })

const getDestinations = route({
  method: 'GET',
  path: v1('/federation/destinations'),
  auth: 'admin',
  query: listPage.extend({
    destination: searchTerm.optional(),
    order_by: z.enum(DESTINATION_ORDERS).default('destination'),
    dir: direction.default('forwards'),
  }),
  async handle({ query: { from, limit, destination, order_by: order, dir } }, app) {
    const part = destination?.toLowerCase() ?? null
    const page = { order, isDescending: dir === 'backwards', from, limit }
    const [destinations, total] = await Promise.all([
      listDestinations(app.database, part, page),
      countDestinations(app.database, part),
    ])
    return { destinations, total, ...textToken(from, destinations.length, total) }
  },
})

const getDestination = route({
  method: 'GET',
  path: v1('/federation/destinations/:destination'),
  auth: 'admin',
  params: ofServer,
  handle: ({ params }, app) => requireDestination(app, params.destination),
})

const getDestinationRooms = route({
  method: 'GET',
  path: v1('/federation/destinations/:destination/rooms'),
  auth: 'admin',
  params: ofServer,
  query: listPage.extend({ dir: direction.default('forwards') }),
  async handle({ params: { destination }, query: { from, limit, dir } }, app) {
    await requireDestination(app, destination)
    const [rooms, total] = await Promise.all([
      listRoomsOfServer(app.database, destination, { isDescending: dir === 'backwards', from, limit }),
      countRoomsOfServer(app.database, destination),
    ])
    return { rooms, total, ...textToken(from, rooms.length, total) }
  },
})

export const postResetConnection = route({
  method: 'POST',
  path: v1('/federation/destinations/:destination/reset_connection'),
  auth: 'admin',
  params: ofServer,
  async handle({ params: { destination } }, app) {
    await requireDestination(app, destination)
    if (!(await app.database.write((tx) => endBackOff(tx, destination))))
      throw new InvalidParamError('There is no back-off for this destination that could be ended')
    return {}
  },
})

export const destinationEndpoints: readonly AnyEndpoint[] = [
  getDestinations,
  getDestination,
  getDestinationRooms,
  postResetConnection,
]

async function requireDestination({ database }: App, destination: ServerName): Promise<ListedDestination> {
  const found = await findDestination(database, destination)
  if (!found) throw new NotFoundError('Unknown destination')
  return found
}

/** A text here, unlike in other lists. */
function textToken(from: number, count: number, total: number): { next_token?: string } {
  const { next_token: next } = nextToken(from, count, total)
  return next === undefined ? {} : { next_token: `${next}` }
}
