import { z } from 'zod'
import { findOpenIdUser } from '../../services/users/openid-tokens.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo; not signed by a server: widgets and call services ask it. */
export const getOpenIdUserinfo = route({
  method: 'GET',
  path: '/_matrix/federation/v1/openid/userinfo',
  auth: 'none',
  query: z.object({ access_token: z.string() }),
  handle: async ({ query }, app) => ({ sub: await findOpenIdUser(app, query.access_token) }),
})
