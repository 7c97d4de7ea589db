import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms */
export const getJoinedRooms = route({
  method: 'GET',
  path: v3('/joined_rooms'),
  auth: 'user',
  async handle({ session }, app) {
    const memberships = await loadUserMemberships(app.database, session.userId, ['join'])
    return { joined_rooms: memberships.map(({ room_id }) => room_id) }
  },
})
