import { z } from 'zod'
import { countExpiredMessages } from '../../../services/membership/deletion/count-expired.ts'
import { queryInteger } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { hearthV1 } from '../admin-fields.ts'

/** Counts the events that the next run would delete, also while expiry is disabled. */
export const getExpired = route({
  method: 'GET',
  path: hearthV1('/expired_messages'),
  auth: 'admin',
  query: z.object({ default_lifetime: queryInteger.optional() }),
  handle: ({ query }, app) => countExpiredMessages(app, query.default_lifetime),
})
