import { z } from 'zod'
import { runMoveSlice } from '../../../services/media/run-move.ts'
import { route } from '../../http/route.ts'
import { hearthV1 } from '../admin-fields.ts'

/** Moves files for some seconds, for `hearth media move` while the server uses the embedded database. */
export const postMediaMove = route({
  method: 'POST',
  path: hearthV1('/media/move'),
  auth: 'admin',
  body: z.object({ to: z.enum(['disk', 's3']) }),
  handle: ({ body: { to } }, app) => runMoveSlice(app, to),
})
