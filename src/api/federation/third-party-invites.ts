import { z } from 'zod'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import { serverNameOf } from '../../core/ids.ts'
import { requireResident } from '../../services/federation/requests/member-template.ts'
import { requireAllowedByAcl } from '../../services/federation/trust/check-server-acl.ts'
import { requireCanonicalFor } from '../../services/federation/trust/verify-submitted.ts'
import { issueThirdPartyInvite } from '../../services/membership/issue-third-party-invite.ts'
import { onThirdPartyBound } from '../../services/membership/on-bind.ts'
import { jsonObject, roomId, userId } from '../http/fields.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1exchange_third_party_inviteroomid */
export const putExchangeThirdPartyInvite = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/exchange_third_party_invite/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  body: z.looseObject({
    type: z.literal('m.room.member'),
    room_id: roomId,
    sender: userId,
    state_key: userId,
    content: z.looseObject({
      membership: z.literal('invite'),
      third_party_invite: z.looseObject({ signed: jsonObject }),
    }),
  }),
  async handle({ params, body, session: { origin } }, app) {
    const { sender, state_key: target, content } = body
    if (body.room_id !== params.roomId) throw new InvalidParamError('The event belongs to another room than the path')
    if (serverNameOf(target) !== origin) throw new ForbiddenError('A server may only send requests for its own users')
    await requireResident(app, params.roomId)
    await requireAllowedByAcl(app, params.roomId, origin)
    await requireCanonicalFor(app, params.roomId, body)
    await issueThirdPartyInvite(app, { ...params, sender, target, signed: content.third_party_invite.signed })
    return {}
  },
})

const invite = z.object({ room_id: roomId, sender: userId, signed: jsonObject })

/**
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv13pidonbind; the identity server does not sign
 * the request, only each invite in it.
 */
export const putThirdPartyOnBind = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/3pid/onbind',
  auth: 'none',
  rateLimit: 'invite',
  body: z.object({ medium: z.string(), address: z.string(), mxid: userId, invites: z.array(invite).max(100) }),
  async handle({ body }, app) {
    const invites = body.invites.map(({ room_id, sender, signed }) => ({ roomId: room_id, sender, signed }))
    await onThirdPartyBound(app, body.mxid, invites)
    return {}
  },
})

/** The method that identity servers use. */
export const postThirdPartyOnBind: typeof putThirdPartyOnBind = { ...putThirdPartyOnBind, method: 'POST' }
