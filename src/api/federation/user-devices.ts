import { z } from 'zod'
import { ownDeviceList } from '../../services/federation/outbound/own-device-list.ts'
import { userId } from '../http/fields.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid */
export const getUserDevices = route({
  method: 'GET',
  path: '/_matrix/federation/v1/user/devices/:userId',
  auth: 'server',
  params: z.object({ userId }),
  handle: ({ params }, app) => ownDeviceList(app, params.userId),
})
