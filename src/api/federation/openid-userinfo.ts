import { z } from 'zod'
import { MatrixError } from '../../core/errors.ts'
import { findOpenIdUser } from '../../services/users/settings/openid-tokens.ts'
import { route } from '../http/route.ts'

/**
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo; unsigned, since widgets and
 * call services use it.
 */
export const getOpenIdUserinfo = route({
  method: 'GET',
  path: '/_matrix/federation/v1/openid/userinfo',
  auth: 'none',
  query: z.object({ access_token: z.string().optional() }),
  async handle({ query: { access_token: token } }, app) {
    if (token === undefined) throw new MatrixError(401, 'M_MISSING_TOKEN', 'access_token: is missing')
    return { sub: await findOpenIdUser(app, token) }
  },
})
