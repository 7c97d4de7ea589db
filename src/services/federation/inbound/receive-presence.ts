import { z } from 'zod'
import { serverNameOf } from '../../../core/ids.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import { storeRemotePresence } from '../../../storage/presence/remote-presence.ts'
import { eduUserId } from '../trust/edu-fields.ts'
import type { ReceiveEdu } from './edu-app.ts'

const MAX_USERS = 1000
const MAX_STATUS = 1000

const presence = z.looseObject({
  user_id: eduUserId,
  presence: z.enum(['online', 'unavailable', 'offline']),
  status_msg: z.string().nullish(),
  last_active_ago: z.number().min(0).optional(),
})
const content = z.looseObject({ push: z.array(z.unknown()).max(MAX_USERS) })

/**
 * Handles presence of remote users who share a room with a local user.
 * https://spec.matrix.org/v1.19/server-server-api/#presence
 */
export const receivePresence: ReceiveEdu = async (app, origin, received) => {
  if (!app.config.presence.enabled) return
  const now = app.clock.now()
  const updates = new Map(
    content.parse(received).push.flatMap((each) => {
      const { data } = presence.safeParse(each)
      if (!data || serverNameOf(data.user_id) !== origin) return []
      const row = {
        user_id: data.user_id,
        presence: data.presence,
        status_msg: data.status_msg ? storableText(data.status_msg).slice(0, MAX_STATUS) : null,
        last_active_ts: Math.max(0, Math.round(now - (data.last_active_ago ?? now))),
      }
      return [[data.user_id, row] as const]
    }),
  )
  if (updates.size > 0)
    await app.database.writeLazily((tx) => storeRemotePresence(tx, [...updates.values()], { origin, now }))
}
