import { z } from 'zod'
import { MatrixError } from '../../core/errors.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid; Hearth knows accounts by their user ids only. */
export const getThirdPartyIds = route({
  method: 'GET',
  path: v3('/account/3pid'),
  auth: 'user',
  handle: () => ({ threepids: [] }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd and the others that add one, as `m.3pid_changes` says */
export const postThirdPartyId = route({
  method: 'POST',
  path: [...v3('/account/3pid'), ...v3('/account/3pid/add'), ...v3('/account/3pid/bind')],
  auth: 'user',
  handle: refuse,
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3piddelete, and unbinding; an id that nobody has is as good as removed. */
export const postThirdPartyIdDelete = route({
  method: 'POST',
  path: [...v3('/account/3pid/delete'), ...v3('/account/3pid/unbind')],
  auth: 'user',
  body: z.object({ address: z.string(), medium: z.string(), id_server: z.string().optional() }),
  handle: () => ({ id_server_unbind_result: 'no-support' }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken, and all that ask for a message with a code */
export const postRequestToken = route({
  method: 'POST',
  path: ['/register', '/account/password', '/account/3pid'].flatMap((place) => [
    ...v3(`${place}/email/requestToken`),
    ...v3(`${place}/msisdn/requestToken`),
  ]),
  auth: 'none',
  handle: refuse,
})

function refuse(): never {
  throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use email addresses or phone numbers')
}
