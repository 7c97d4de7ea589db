import { z } from 'zod'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { canonicalAddress } from '../../../core/text/email-address.ts'
import { describeConnections } from '../../../services/devices/connections.ts'
import { describePusher } from '../../../services/push/set-pusher.ts'
import { isUpstreamName } from '../../../services/sign-in/upstream-person.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { loadPushers } from '../../../storage/push/pushers.ts'
import { countJoinedRooms, countSentInvites } from '../../../storage/rooms/membership/membership-events.ts'
import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { findLinkedUser } from '../../../storage/sign-in/upstream-links.ts'
import { loadAllAccountData } from '../../../storage/users/account-data.ts'
import { findThreepidOwner } from '../../../storage/users/threepids.ts'
import { opaqueName, queryInteger, userId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { ofUser, v1 } from '../admin-fields.ts'

const ofAnyUser = z.object({ userId })
const since = z.object({ from_ts: queryInteger.default(0) })

/** In the form of Synapse, with the connections of all devices in one session. */
const getUserWhois = route({
  method: 'GET',
  path: v1('/whois/:userId'),
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId: user } }, app) {
    await findLocalUser(app, user)
    const { devices } = await describeConnections(app, user)
    const sessions = Object.values(devices).flatMap((device) => device.sessions)
    return {
      user_id: user,
      devices: { '': { sessions: [{ connections: sessions.flatMap((one) => one.connections) }] } },
    }
  },
})

/** Rooms of remote users too, as far as this server knows them. */
const getUserRooms = route({
  method: 'GET',
  path: v1('/users/:userId/joined_rooms'),
  auth: 'admin',
  params: ofAnyUser,
  async handle({ params }, app) {
    const rooms = await loadUserMemberships(app.database, params.userId, ['join'])
    return { joined_rooms: rooms.map(({ room_id }) => room_id), total: rooms.length }
  },
})

const getUserMemberships = route({
  method: 'GET',
  path: v1('/users/:userId/memberships'),
  auth: 'admin',
  params: ofUser,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    const rooms = await loadUserMemberships(app.database, params.userId)
    return { memberships: Object.fromEntries(rooms.map(({ room_id, membership }) => [room_id, membership])) }
  },
})

const getUserPushers = route({
  method: 'GET',
  path: v1('/users/:userId/pushers'),
  auth: 'admin',
  params: ofUser,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    const pushers = await loadPushers(app.database, params.userId)
    return { pushers: pushers.map(describePusher), total: pushers.length }
  },
})

const getUserAccountData = route({
  method: 'GET',
  path: v1('/users/:userId/accountdata'),
  auth: 'admin',
  params: ofUser,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    const rows = await loadAllAccountData(app.database, params.userId)
    const byRoom = Map.groupBy(rows, ({ room_id }) => room_id)
    const contentsOf = (room: (typeof rows)[number]['room_id']) =>
      Object.fromEntries((byRoom.get(room) ?? []).map(({ type, content }) => [type, JSON.parse(content)]))
    const rooms = [...byRoom.keys()].filter((room) => room !== '')
    return {
      account_data: { global: contentsOf(''), rooms: Object.fromEntries(rooms.map((id) => [id, contentsOf(id)])) },
    }
  },
})

const getSentInvites = route({
  method: 'GET',
  path: v1('/users/:userId/sent_invite_count'),
  auth: 'admin',
  params: ofUser,
  query: since,
  async handle({ params, query }, app) {
    await findLocalUser(app, params.userId)
    return { invite_count: await countSentInvites(app.database, params.userId, query.from_ts) }
  },
})

const getJoinedRoomCount = route({
  method: 'GET',
  path: v1('/users/:userId/cumulative_joined_room_count'),
  auth: 'admin',
  params: ofUser,
  query: since,
  async handle({ params, query }, app) {
    await findLocalUser(app, params.userId)
    return { cumulative_joined_room_count: await countJoinedRooms(app.database, params.userId, query.from_ts) }
  },
})

const getUserOfProvider = route({
  method: 'GET',
  path: v1('/auth_providers/:provider/users/:externalId'),
  auth: 'admin',
  params: z.object({
    provider: opaqueName,
    externalId: z.string().refine(isUpstreamName, 'is not a name of a provider'),
  }),
  async handle({ params: { provider: providerId, externalId: subject } }, app) {
    const user_id = await findLinkedUser(app.database, { providerId, subject })
    if (user_id === undefined) throw new NotFoundError('Unknown user')
    return { user_id }
  },
})

const getUserOfThreepid = route({
  method: 'GET',
  path: v1('/threepid/:medium/users/:address'),
  auth: 'admin',
  params: z.object({ medium: opaqueName, address: opaqueName }),
  async handle({ params }, app) {
    const address = canonicalAddress(params)
    const user_id = await findThreepidOwner(app.database, { medium: params.medium, address })
    if (user_id === undefined) throw new NotFoundError('Unknown user')
    return { user_id }
  },
})

/** Synapse switches these for single users. Hearth has them, or does not, for everybody. */
const FEATURES: Readonly<Record<string, boolean>> = { msc3881: false, msc3575: true, msc4222: true }
const featurePath = v1('/experimental_features/:userId')

const getFeatures = route({
  method: 'GET',
  path: featurePath,
  auth: 'admin',
  params: ofUser,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    return { features: FEATURES }
  },
})

const putFeatures = route({
  method: 'PUT',
  path: featurePath,
  auth: 'admin',
  params: ofUser,
  body: z.object({ features: z.record(z.string(), z.boolean()) }),
  async handle({ params, body: { features } }, app) {
    await findLocalUser(app, params.userId)
    for (const [name, wanted] of Object.entries(features)) {
      if (!Object.hasOwn(FEATURES, name)) throw new InvalidParamError(`features: there is no ${name}`)
      if (FEATURES[name] !== wanted)
        throw new InvalidParamError(
          `features: ${name} is ${FEATURES[name] ? 'on' : 'off'} for all users of this server`,
        )
    }
    return {}
  },
})

export const userFactEndpoints: readonly AnyEndpoint[] = [
  getUserWhois,
  getUserRooms,
  getUserMemberships,
  getUserPushers,
  getUserAccountData,
  getSentInvites,
  getJoinedRoomCount,
  getUserOfProvider,
  getUserOfThreepid,
  getFeatures,
  putFeatures,
]
