import { z } from 'zod'
import { addFilter, getFilter } from '../../../services/users/settings/filters.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import { RawJson, route } from '../../http/route.ts'
import { requireOwn } from './own-user.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter */
export const postFilter = route({
  method: 'POST',
  path: v3('/user/:userId/filter'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  params: z.object({ userId }),
  body: jsonObject,
  async handle({ params, body, session }, app) {
    requireOwn(session, params.userId)
    return { filter_id: await addFilter(app, params.userId, body) }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid */
export const getOneFilter = route({
  method: 'GET',
  path: v3('/user/:userId/filter/:filterId'),
  auth: 'user',
  guests: true,
  params: z.object({ userId, filterId: z.string() }),
  async handle({ params, session }, app) {
    requireOwn(session, params.userId)
    return new RawJson(await getFilter(app, params.userId, params.filterId))
  },
})
