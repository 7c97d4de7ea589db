import { z } from 'zod'
import { MissingParamError } from '../../../core/errors.ts'
import { canonicalAddress } from '../../../core/text/email-address.ts'
import { inviteThirdParty } from '../../../services/membership/invite-third-party.ts'
import { inviteUser } from '../../../services/membership/invite-user.ts'
import { v3 } from '../../http/client-paths.ts'
import { parsePart } from '../../http/errors.ts'
import { roomId, serverName, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { contentWithReason, reason } from './reason.ts'

/** A third-party address and the identity server that resolves it. */
export const thirdParty = z
  .object({
    id_server: serverName,
    id_access_token: z
      .string()
      .min(1)
      .regex(/^[\x21-\x7e]+$/, 'is no token'),
    medium: z.string().min(1).max(255),
    address: z.string().min(1).max(512),
  })
  .transform(({ id_server, id_access_token, medium, address }) => {
    const canonical = canonicalAddress({ medium, address })
    return { idServer: id_server, idAccessToken: id_access_token, medium, address: canonical }
  })

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite and
 * https://spec.matrix.org/v1.19/client-server-api/#thirdparty_post_matrixclientv3roomsroomidinvite
 */
export const postInvite = route({
  method: 'POST',
  path: v3('/rooms/:roomId/invite'),
  auth: 'user',
  rateLimit: 'invite',
  params: z.object({ roomId }),
  body: z.looseObject({ user_id: userId.optional(), medium: z.string().optional(), reason }),
  pretend: () => ({}),
  async handle({ params, body, session }, app) {
    const invite = { roomId: params.roomId, sender: session.userId, content: contentWithReason(body, session) }
    if (body.user_id !== undefined) await inviteUser(app, { ...invite, target: body.user_id })
    else if (body.medium === undefined) throw new MissingParamError('user_id: is missing')
    else await inviteThirdParty(app, { ...invite, ...parsePart('body', thirdParty, body) })
    return {}
  },
})
