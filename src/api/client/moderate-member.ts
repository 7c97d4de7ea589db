import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { inviteUser } from '../../services/federation/invite-user.ts'
import { ban, kick, type Moderation, unban } from '../../services/rooms/moderate-member.ts'
import { roomId, userId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'
import { contentWithReason, reason } from './reason.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite */
export const postInvite = route({
  method: 'POST',
  path: v3('/rooms/:roomId/invite'),
  auth: 'user',
  refusesSuspended: true,
  rateLimit: 'invite',
  params: z.object({ roomId }),
  body: z.object({ user_id: userId.optional(), medium: z.string().optional(), reason }),
  async handle({ params, body, session }, app) {
    if (body.user_id === undefined) throw uninvitable(body.medium)
    const { roomId } = params
    await inviteUser(app, { roomId, sender: session.userId, target: body.user_id, content: contentWithReason(body) })
    return {}
  },
})

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
    refusesSuspended: true,
    params: z.object({ roomId }),
    body: z.object({ user_id: userId, reason }),
    async handle({ params, body, session }, app) {
      const { roomId } = params
      await moderate(app, { roomId, sender: session.userId, target: body.user_id, content: contentWithReason(body) })
      return {}
    },
  })
}

function uninvitable(medium: string | undefined): MatrixError {
  return medium === undefined
    ? new MatrixError(400, 'M_MISSING_PARAM', 'user_id: is missing')
    : new MatrixError(403, 'M_THREEPID_DENIED', 'This server invites by user id only, not by email or telephone')
}
