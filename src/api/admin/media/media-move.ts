import { z } from 'zod'
import { runMoveSlice } from '../../../services/media/run-move.ts'
import { route } from '../../http/route.ts'

/**
 * Moves files for some seconds, for `hearth media move` while the server uses the embedded database. The nonce is that of
 * `/_synapse/admin/v1/register`.
 */
export const postMediaMove = route({
  method: 'POST',
  path: '/_hearth/admin/v1/media/move',
  auth: 'none',
  rateLimit: 'registration',
  body: z.object({ to: z.enum(['disk', 's3']), nonce: z.string(), mac: z.string() }),
  handle: ({ body }, app) => runMoveSlice(app, body),
})
