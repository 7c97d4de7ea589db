import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { type RoomAlias, serverNameOf, type UserId } from '../../core/ids.ts'
import { resolveRoomAlias } from '../../services/rooms/directory/aliases.ts'
import { getProfile, getProfileField } from '../../services/users/profile.ts'
import { roomAlias, userId } from '../http/fields.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile */
export const getProfileQuery = route({
  method: 'GET',
  path: '/_matrix/federation/v1/query/profile',
  auth: 'server',
  query: z.object({ user_id: userId, field: z.string().optional() }),
  async handle({ query: { user_id, field } }, app) {
    requireOurs(app, user_id)
    return field === undefined ? getProfile(app, user_id) : { [field]: await getProfileField(app, user_id, field) }
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory */
export const getDirectoryQuery = route({
  method: 'GET',
  path: '/_matrix/federation/v1/query/directory',
  auth: 'server',
  query: z.object({ room_alias: roomAlias }),
  handle({ query: { room_alias } }, app) {
    requireOurs(app, room_alias)
    return resolveRoomAlias(app, room_alias)
  },
})

function requireOurs(app: App, id: UserId | RoomAlias): void {
  if (serverNameOf(id) !== app.serverName) throw new NotFoundError(`${id} is not of this server`)
}
