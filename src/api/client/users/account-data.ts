import { z } from 'zod'
import type { RoomId } from '../../../core/ids.ts'
import { getAccountData, putAccountData, removeAccountData } from '../../../services/users/settings/account-data.ts'
import type { AccountDataKey } from '../../../storage/users/account-data.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, roomId, userId } from '../../http/fields.ts'
import { RawJson, route } from '../../http/route.ts'
import { requireOwn } from './own-user.ts'

const ofUser = '/user/:userId/account_data/:type'
const ofRoom = '/user/:userId/rooms/:roomId/account_data/:type'
const params = z.object({ userId, roomId: roomId.optional(), type: z.string() })

/**
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccount_datatype
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidaccount_datatype
 */
export const getOneAccountData = route({
  method: 'GET',
  path: [...v3(ofUser), ...v3(ofRoom)],
  auth: 'user',
  params,
  async handle({ params, session }, app) {
    requireOwn(session, params.userId)
    return new RawJson(await getAccountData(app, params.userId, keyOf(params)))
  },
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype
 */
export const putOneAccountData = route({
  method: 'PUT',
  path: [...v3(ofUser), ...v3(ofRoom)],
  auth: 'user',
  suspendedUsers: true,
  params,
  body: jsonObject,
  async handle({ params, body, session }, app) {
    requireOwn(session, params.userId)
    await putAccountData(app, params.userId, { ...keyOf(params), content: body })
    return {}
  },
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3391 */
export const deleteOneAccountData = route({
  method: 'DELETE',
  path: [ofUser, ofRoom].map((path) => `/_matrix/client/unstable/org.matrix.msc3391${path}`),
  auth: 'user',
  suspendedUsers: true,
  params,
  async handle({ params, session }, app) {
    requireOwn(session, params.userId)
    await removeAccountData(app, params.userId, keyOf(params))
    return {}
  },
})

function keyOf(params: { roomId?: RoomId | undefined; type: string }): AccountDataKey {
  return { roomId: params.roomId ?? '', type: params.type }
}
