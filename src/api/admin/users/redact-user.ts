import { z } from 'zod'
import { serverNameOf } from '../../../core/ids.ts'
import { findUserRedaction, redactUser } from '../../../services/rooms/sending/redact-user.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { administratorOf } from '../../../services/users/administration/operator.ts'
import { opaqueName, roomId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { ofUser, v1 } from '../admin-fields.ts'

const MAX_ROOMS = 10_000
const MAX_EVENTS = 1_000_000
const MAX_REASON = 1000
const time = z
  .int()
  .min(0)
  .nullish()
  .transform((ts) => ts ?? null)

export const postRedactUser = route({
  method: 'POST',
  path: v1('/user/:userId/redact'),
  auth: 'admin',
  params: ofUser,
  body: z.object({
    rooms: z.array(roomId).max(MAX_ROOMS),
    reason: z.string().max(MAX_REASON).nullish(),
    limit: z.int().min(1).max(MAX_EVENTS).nullish(),
    use_admin: z.boolean().default(false),
    before_ts: time,
    after_ts: time,
  }),
  async handle({ params: { userId }, body, session }, app) {
    // Events of remote users can be redacted too.
    if (serverNameOf(userId) === app.serverName) await findLocalUser(app, userId)
    const redactId = await redactUser(app, {
      ...{ userId, by: administratorOf(session), rooms: body.rooms, reason: body.reason ?? null },
      ...{ limit: body.limit ?? 1000, asAdmin: body.use_admin },
      ...{ beforeTs: body.before_ts, afterTs: body.after_ts },
    })
    return { redact_id: redactId }
  },
})

const getRedactStatus = route({
  method: 'GET',
  path: v1('/user/redact_status/:redactId'),
  auth: 'admin',
  params: z.object({ redactId: opaqueName }),
  handle: ({ params }, app) => findUserRedaction(app, params.redactId),
})

export const userRedactionEndpoints: readonly AnyEndpoint[] = [postRedactUser, getRedactStatus]
