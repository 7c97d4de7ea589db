import { turnCredentials } from '../../../services/rtc/turn-credentials.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver */
export const getTurnServer = route({
  method: 'GET',
  path: v3('/voip/turnServer'),
  auth: 'user',
  guests: true,
  rateLimit: 'turn',
  handle: ({ session }, app) => turnCredentials(app, session),
})
