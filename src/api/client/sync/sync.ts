import { z } from 'zod'
import type { App } from '../../../app.ts'
import { BadJsonError, InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { type Filter, parseFilter } from '../../../core/filters/filter-schema.ts'
import type { UserId } from '../../../core/ids.ts'
import { sync } from '../../../services/sync/v3/sync.ts'
import { getFilter } from '../../../services/users/settings/filters.ts'
import { queryBoolean, queryInteger } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { presenceSetBy } from './sync-presence.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync */
export const getSync = route({
  method: 'GET',
  path: ['/_matrix/client/v3/sync', '/_matrix/client/r0/sync'],
  auth: 'user',
  guests: true,
  query: z.object({
    since: z.string().optional(),
    timeout: queryInteger.default(0),
    filter: z.string().optional(),
    full_state: queryBoolean.default(false),
    set_presence: z.enum(['offline', 'online', 'unavailable']).optional(),
    use_state_after: queryBoolean.default(false),
    'org.matrix.msc4222.use_state_after': queryBoolean.default(false),
  }),
  async handle({ query, session, signal }, app) {
    return sync(app, {
      userId: session.userId,
      deviceId: session.deviceId,
      since: query.since === '' ? undefined : query.since,
      timeout: query.timeout,
      filter: await filterOf(app, session.userId, query.filter),
      fullState: query.full_state,
      stateAfter: query.use_state_after
        ? 'state_after'
        : query['org.matrix.msc4222.use_state_after']
          ? 'org.matrix.msc4222.state_after'
          : undefined,
      presence: presenceSetBy(session, query.set_presence),
      streamPosition: session.streamPosition,
      signal,
    })
  },
})

/** Returns the filter, given inline or by ID. */
async function filterOf(app: App, userId: UserId, given: string | undefined): Promise<Filter> {
  if (given === undefined) return {}
  if (!given.startsWith('{')) return storedFilter(app, userId, given)
  let json: unknown
  try {
    json = JSON.parse(given)
  } catch {
    throw new BadJsonError('filter: is not JSON')
  }
  return parseFilter(json)
}

async function storedFilter(app: App, userId: UserId, filterId: string): Promise<Filter> {
  try {
    return parseFilter(JSON.parse(await getFilter(app, userId, filterId)))
  } catch (error) {
    // The path /sync exists, so 404 would mislead: a parameter names something that does not exist.
    throw error instanceof NotFoundError ? new InvalidParamError('filter: there is no such filter') : error
  }
}
