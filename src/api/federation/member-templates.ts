import { z } from 'zod'
import { makeMemberTemplate } from '../../services/federation/requests/member-template.ts'
import { roomId, userId } from '../http/fields.ts'
import { route } from '../http/route.ts'

const params = z.object({ roomId, userId })

/** A repeated query parameter, or a single one. */
const versions = z.union([z.string().transform((version) => [version]), z.array(z.string())])

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid */
export const getMakeJoin = route({
  method: 'GET',
  path: '/_matrix/federation/v1/make_join/:roomId/:userId',
  auth: 'server',
  params,
  query: z.object({ ver: versions.prefault('1') }),
  handle: ({ params, query, session }, app) =>
    makeMemberTemplate(app, { ...session, ...params, membership: 'join', versions: query.ver }),
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_knockroomiduserid */
export const getMakeKnock = route({
  method: 'GET',
  path: '/_matrix/federation/v1/make_knock/:roomId/:userId',
  auth: 'server',
  params,
  query: z.object({ ver: versions }),
  handle: ({ params, query, session }, app) =>
    makeMemberTemplate(app, { ...session, ...params, membership: 'knock', versions: query.ver }),
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_leaveroomiduserid */
export const getMakeLeave = route({
  method: 'GET',
  path: '/_matrix/federation/v1/make_leave/:roomId/:userId',
  auth: 'server',
  params,
  handle: ({ params, session }, app) => makeMemberTemplate(app, { ...session, ...params, membership: 'leave' }),
})
