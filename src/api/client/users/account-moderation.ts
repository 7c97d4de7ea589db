import { z } from 'zod'
import { findModerated, setLocked, setSuspended } from '../../../services/users/account-moderation.ts'
import { userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const params = z.object({ userId })
const lockPath = paths('lock')
const suspendPath = paths('suspend')

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminlockuserid */
export const getLock = route({
  method: 'GET',
  path: lockPath,
  auth: 'admin',
  params,
  handle: async ({ params }, app) => ({ locked: (await findModerated(app, params.userId)).locked }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminlockuserid */
export const putLock = route({
  method: 'PUT',
  path: lockPath,
  auth: 'admin',
  params,
  body: z.object({ locked: z.boolean() }),
  async handle({ params, body }, app) {
    await setLocked(app, params.userId, body.locked)
    return { locked: body.locked }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminsuspenduserid */
export const getSuspend = route({
  method: 'GET',
  path: suspendPath,
  auth: 'admin',
  params,
  handle: async ({ params }, app) => ({ suspended: (await findModerated(app, params.userId)).suspended }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminsuspenduserid */
export const putSuspend = route({
  method: 'PUT',
  path: suspendPath,
  auth: 'admin',
  params,
  body: z.object({ suspended: z.boolean() }),
  async handle({ params, body }, app) {
    await setSuspended(app, params.userId, body.suspended)
    return { suspended: body.suspended }
  },
})

function paths(action: string): string[] {
  return [
    `/_matrix/client/v1/admin/${action}/:userId`,
    `/_matrix/client/unstable/uk.timedout.msc4323/admin/${action}/:userId`,
  ]
}
