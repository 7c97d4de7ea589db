import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami */
export const getWhoami = route({
  method: 'GET',
  path: v3('/account/whoami'),
  auth: 'user',
  guests: true,
  handle: ({ session: { userId, deviceId, isGuest } }) => ({
    user_id: userId,
    ...(deviceId !== null && { device_id: deviceId }),
    is_guest: isGuest,
  }),
})
