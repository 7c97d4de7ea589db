import { z } from 'zod'
import { getPresenceStatus, setPresenceStatus } from '../../../services/presence/presence-status.ts'
import { v3 } from '../../http/client-paths.ts'
import { userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { requireOwn } from '../users/own-user.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus */
export const getPresence = route({
  method: 'GET',
  path: v3('/presence/:userId/status'),
  auth: 'user',
  params: z.object({ userId }),
  handle: ({ params, session }, app) => getPresenceStatus(app, session.userId, params.userId),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus */
export const putPresence = route({
  method: 'PUT',
  path: v3('/presence/:userId/status'),
  auth: 'user',
  params: z.object({ userId }),
  body: z.object({
    presence: z.enum(['online', 'offline', 'unavailable']),
    status_msg: z.string().max(1000).nullish(),
  }),
  pretend: () => ({}),
  async handle({ params, body, session }, app) {
    requireOwn(session, params.userId)
    const { userId, deviceId } = session
    await setPresenceStatus(app, { userId, deviceId, presence: body.presence, statusMsg: body.status_msg })
    return {}
  },
})
