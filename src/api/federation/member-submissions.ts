import { z } from 'zod'
import { knockAnswer } from '../../services/federation/requests/knock-answer.ts'
import { acceptMember } from '../../services/federation/serving/accept-member.ts'
import { serveJoin } from '../../services/federation/serving/serve-join.ts'
import { eventId, jsonObject, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { sendPieces } from '../http/send-pieces.ts'

const params = z.object({ roomId, eventId })

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_joinroomideventid */
export const putSendJoinV1 = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/send_join/:roomId/:eventId',
  auth: 'server',
  params,
  body: jsonObject,
  async handle({ params, body, session, response, owner }, app) {
    const pieces = await serveJoin(app, { ...session, ...params, pdu: body }, { omitMembers: false })
    return sendPieces(app, { response, owner }, inListWithStatus(pieces))
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid */
export const putSendJoin = route({
  method: 'PUT',
  path: '/_matrix/federation/v2/send_join/:roomId/:eventId',
  auth: 'server',
  params,
  query: z.object({ omit_members: z.enum(['true', 'false']).prefault('false') }),
  body: jsonObject,
  async handle({ params, query, body, session, response, owner }, app) {
    const omitMembers = query.omit_members === 'true'
    return sendPieces(
      app,
      { response, owner },
      await serveJoin(app, { ...session, ...params, pdu: body }, { omitMembers }),
    )
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid */
export const putSendKnock = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/send_knock/:roomId/:eventId',
  auth: 'server',
  params,
  body: jsonObject,
  async handle({ params, body, session }, app) {
    const knock = await acceptMember(app, { ...session, ...params, membership: 'knock', pdu: body })
    return { knock_room_state: await knockAnswer(app, knock) }
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_leaveroomideventid */
export const putSendLeaveV1 = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/send_leave/:roomId/:eventId',
  auth: 'server',
  params,
  body: jsonObject,
  async handle({ params, body, session }, app) {
    await acceptMember(app, { ...session, ...params, membership: 'leave', pdu: body })
    return [200, {}]
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_leaveroomideventid */
export const putSendLeave = route({
  method: 'PUT',
  path: '/_matrix/federation/v2/send_leave/:roomId/:eventId',
  auth: 'server',
  params,
  body: jsonObject,
  async handle({ params, body, session }, app) {
    await acceptMember(app, { ...session, ...params, membership: 'leave', pdu: body })
    return {}
  },
})

async function* inListWithStatus(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  yield '[200,'
  yield* pieces
  yield ']'
}
