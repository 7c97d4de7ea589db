import { z } from 'zod'
import { ForbiddenError } from '../../../core/errors.ts'
import { pingAppservice } from '../../../services/appservices/ping.ts'
import { setNetworkVisibility } from '../../../services/rooms/directory/network-directory.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueText, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/**
 * https://spec.matrix.org/v1.19/application-service-api/#post_matrixclientv1appserviceappserviceidping, and its
 * unstable path.
 */
export const postAppservicePing = route({
  method: 'POST',
  path: [
    '/_matrix/client/v1/appservice/:appserviceId/ping',
    '/_matrix/client/unstable/fi.mau.msc2659/appservice/:appserviceId/ping',
  ],
  auth: 'appservice',
  params: z.object({ appserviceId: z.string() }),
  body: z.object({ transaction_id: z.string().max(255).optional() }),
  async handle({ params, body, session: { appservice } }, app) {
    if (params.appserviceId !== appservice.id)
      throw new ForbiddenError('This is the token of another application service')
    return { duration_ms: await pingAppservice(app, appservice, body.transaction_id) }
  },
})

/** https://spec.matrix.org/v1.19/application-service-api/#put_matrixclientv3directorylistappservicenetworkidroomid */
export const putNetworkVisibility = route({
  method: 'PUT',
  path: v3('/directory/list/appservice/:networkId/:roomId'),
  auth: 'appservice',
  params: z.object({ networkId: opaqueText, roomId }),
  body: z.object({ visibility: z.enum(['public', 'private']) }),
  async handle({ params, body, session }, app) {
    await setNetworkVisibility(app, session.appservice, { ...params, ...body })
    return {}
  },
})

/** Not in the specification. Bridges written for Synapse use it. */
export const deleteNetworkVisibility = route({
  method: 'DELETE',
  path: v3('/directory/list/appservice/:networkId/:roomId'),
  auth: 'appservice',
  params: z.object({ networkId: opaqueText, roomId }),
  async handle({ params, session }, app) {
    await setNetworkVisibility(app, session.appservice, { ...params, visibility: 'private' })
    return {}
  },
})
