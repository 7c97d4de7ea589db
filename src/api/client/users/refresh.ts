import { z } from 'zod'
import { refreshTokens } from '../../../services/users/refresh.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh */
export const postRefresh = route({
  method: 'POST',
  path: [...v3('/refresh'), '/_matrix/client/v1/refresh'],
  auth: 'none',
  body: z.object({ refresh_token: z.string() }),
  async handle({ body }, app) {
    const { scope: _, ...tokens } = await refreshTokens(app, { refreshToken: body.refresh_token, clientId: null })
    return tokens
  },
})
