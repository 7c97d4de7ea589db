import { z } from 'zod'
import type { ServerName } from '../../core/ids.ts'
import type { WantedAnswer } from '../../infra/federation/key-ring.ts'
import { askNotary } from '../../services/federation/serving/notary.ts'
import { ownKeyAnswer } from '../../services/federation/serving/own-key-answer.ts'
import { queryInteger, serverName } from '../http/fields.ts'
import { route } from '../http/route.ts'

/**
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server; old servers append a key ID, which is
 * ignored.
 */
export const getServerKeys = route({
  method: 'GET',
  path: ['/_matrix/key/v2/server', '/_matrix/key/v2/server/:keyId'],
  auth: 'none',
  handle: (_call, app) => ownKeyAnswer(app),
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2queryservername */
export const getKeyQuery = route({
  method: 'GET',
  path: ['/_matrix/key/v2/query/:serverName', '/_matrix/key/v2/query/:serverName/:keyId'],
  auth: 'none',
  rateLimit: 'key_query',
  params: z.object({ serverName, keyId: z.string().optional() }),
  query: z.object({ minimum_valid_until_ts: queryInteger.optional() }),
  handle({ params, query }, app) {
    const validUntil = query.minimum_valid_until_ts ?? app.clock.now()
    const keyIds = params.keyId === undefined ? [] : [params.keyId]
    return askNotary(app, new Map([[params.serverName, { validUntil, keyIds }]]))
  },
})

const criteria = z.looseObject({ minimum_valid_until_ts: z.int().min(0).optional() })
const MAX_SERVERS = 500

/** https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query */
export const postKeyQuery = route({
  method: 'POST',
  path: '/_matrix/key/v2/query',
  auth: 'none',
  body: z.looseObject({
    server_keys: z
      .record(z.string(), z.record(z.string(), criteria))
      .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, `names more than ${MAX_SERVERS} servers`),
  }),
  alsoCounts: ({ body }) => ({ key_query: Object.keys(body.server_keys).length }),
  handle({ body }, app) {
    const wanted = new Map<ServerName, WantedAnswer>()
    for (const [server, keys] of Object.entries(body.server_keys)) {
      const name = serverName.safeParse(server)
      const times = Object.values(keys).map((key) => key.minimum_valid_until_ts ?? app.clock.now())
      const validUntil = times.length > 0 ? Math.max(...times) : app.clock.now()
      if (name.success) wanted.set(name.data, { validUntil, keyIds: Object.keys(keys) })
    }
    return askNotary(app, wanted)
  },
})
