import { z } from 'zod'
import type { JsonObject } from '../../../core/pdu.ts'
import { describePusher, removePusher, setPusher } from '../../../services/push/set-pusher.ts'
import { loadPushers } from '../../../storage/push/pushers.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers */
export const getPushers = route({
  method: 'GET',
  path: v3('/pushers'),
  auth: 'user',
  async handle({ session }, app) {
    const pushers = await loadPushers(app.database, session.userId)
    return {
      pushers: pushers.map(describePusher),
    }
  },
})

const MAX_PUSHKEY_BYTES = 512

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset */
export const postPushersSet = route({
  method: 'POST',
  path: v3('/pushers/set'),
  auth: 'user',
  suspendedUsers: true,
  body: z.object({
    kind: z.string().nullable(),
    app_id: z.string().min(1).max(64),
    pushkey: z
      .string()
      .min(1)
      .refine((key) => Buffer.byteLength(key) <= MAX_PUSHKEY_BYTES, 'must be at most 512 bytes'),
    app_display_name: z.string().optional(),
    device_display_name: z.string().optional(),
    profile_tag: z
      .string()
      .nullish()
      .transform((tag) => tag ?? undefined),
    lang: z.string().optional(),
    data: jsonObject.optional(),
    append: z.boolean().default(false),
  }),
  async handle({ body, session }, app) {
    const { kind, data, ...rest } = body
    if (kind === null) await removePusher(app, session, rest)
    else await setPusher(app, session, { ...rest, kind, data: data as JsonObject | undefined })
    return {}
  },
})
