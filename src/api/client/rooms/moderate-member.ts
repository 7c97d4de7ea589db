import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ban, kick, type Moderation, unban } from '../../../services/rooms/membership/moderate-member.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { contentWithReason, reason } from './reason.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick */
export const postKick = moderation('kick', kick)

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidban */
export const postBan = moderation('ban', ban)

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban */
export const postUnban = moderation('unban', unban)

function moderation(name: string, moderate: (app: App, moderation: Moderation) => Promise<void>) {
  return route({
    method: 'POST',
    path: v3(`/rooms/:roomId/${name}`),
    auth: 'user',
    params: z.object({ roomId }),
    body: z.object({ user_id: userId, reason }),
    pretend: () => ({}),
    async handle({ params, body, session }, app) {
      const { roomId } = params
      const content = contentWithReason(body, session)
      await moderate(app, { roomId, sender: session.userId, target: body.user_id, content })
      return {}
    },
  })
}
