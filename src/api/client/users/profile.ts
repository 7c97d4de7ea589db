import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError, MissingParamError } from '../../../core/errors.ts'
import type { Json } from '../../../core/pdu.ts'
import { findProfile, findProfileField } from '../../../services/lookup/find-profile.ts'
import { setProfileField } from '../../../services/users/profile.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import { requireOwn } from './own-user.ts'

const fieldPaths = [
  ...v3('/profile/:userId/:keyName'),
  '/_matrix/client/unstable/uk.tcpip.msc4133/profile/:userId/:keyName',
]
const fieldParams = z.object({ userId, keyName: z.string() })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid */
export const getWholeProfile = route({
  method: 'GET',
  path: [...v3('/profile/:userId'), '/_matrix/client/unstable/uk.tcpip.msc4133/profile/:userId'],
  auth: 'none',
  recognizesUsers: true,
  params: z.object({ userId }),
  handle: ({ params }, app) => findProfile(app, params.userId),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname */
export const getOneProfileField = route({
  method: 'GET',
  path: fieldPaths,
  auth: 'none',
  recognizesUsers: true,
  params: fieldParams,
  handle: async ({ params }, app) => ({
    [params.keyName]: await findProfileField(app, params.userId, params.keyName),
  }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname */
export const putProfileField = route({
  method: 'PUT',
  path: fieldPaths,
  auth: 'user',
  guests: true,
  params: fieldParams,
  body: jsonObject,
  handle({ params: { keyName, ...params }, body, session }, app) {
    requireOwn(session, params.userId)
    const value = Object.hasOwn(body, keyName) ? body[keyName] : undefined
    if (value === undefined) throw new MissingParamError(`${keyName}: the body has to have it`)
    return changeField(app, session, { field: keyName, value })
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname */
export const deleteProfileField = route({
  method: 'DELETE',
  path: fieldPaths,
  auth: 'user',
  guests: true,
  params: fieldParams,
  handle({ params, session }, app) {
    requireOwn(session, params.userId)
    return changeField(app, session, { field: params.keyName, value: undefined })
  },
})

async function changeField(
  app: App,
  { userId, isGuest }: Session,
  { field, value }: { field: string; value: Json | undefined },
): Promise<Record<string, never>> {
  if (isGuest && field !== 'displayname') throw new ForbiddenError('Guests may only change their display name')
  const job = await setProfileField(app, { userId, field, value })
  if (job !== undefined) await app.jobs.attend(job)
  return {}
}
