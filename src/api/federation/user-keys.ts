import { z } from 'zod'
import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { type DeviceId, serverNameOf, type UserId } from '../../core/ids.ts'
import { claimLocalKeys, requireFewClaims } from '../../services/devices/claim-local-keys.ts'
import { loadKeysForServers } from '../../services/federation/outbound/keys-for-servers.ts'
import { requireFewQueries } from '../../services/lookup/query-keys.ts'
import { byUser } from '../client/devices/encryption-fields.ts'
import { opaqueName } from '../http/fields.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery */
export const postUserKeysQuery = route({
  method: 'POST',
  path: '/_matrix/federation/v1/user/keys/query',
  auth: 'server',
  body: z.object({ device_keys: byUser(z.array(opaqueName)) }),
  handle({ body }, app) {
    requireOwnUsers(app, body.device_keys.keys())
    requireFewQueries(app, body.device_keys)
    return loadKeysForServers(app, app.database, body.device_keys)
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim */
export const postUserKeysClaim = route({
  method: 'POST',
  path: '/_matrix/federation/v1/user/keys/claim',
  auth: 'server',
  body: z.object({ one_time_keys: byUser(z.record(opaqueName, opaqueName)) }),
  async handle({ body }, app) {
    requireOwnUsers(app, body.one_time_keys.keys())
    const claims = [...body.one_time_keys].flatMap(([user_id, devices]) =>
      Object.entries(devices).map(([deviceId, algorithm]) => ({ user_id, device_id: deviceId as DeviceId, algorithm })),
    )
    requireFewClaims(app, claims)
    return { one_time_keys: await claimLocalKeys(app, claims) }
  },
})

function requireOwnUsers(app: App, userIds: Iterable<UserId>): void {
  for (const userId of userIds) {
    if (serverNameOf(userId) !== app.serverName) throw new ForbiddenError(`${userId} is not of this server`)
  }
}
