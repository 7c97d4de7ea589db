import { NotFoundError } from '../../core/errors.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols; there are none without bridges. */
export const getThirdPartyProtocols = route({
  method: 'GET',
  path: v3('/thirdparty/protocols'),
  auth: 'user',
  handle: () => ({}),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol, and the look-ups by protocol */
export const getThirdPartyProtocol = route({
  method: 'GET',
  path: [
    ...v3('/thirdparty/protocol/:protocol'),
    ...v3('/thirdparty/location/:protocol'),
    ...v3('/thirdparty/user/:protocol'),
  ],
  auth: 'user',
  handle() {
    throw new NotFoundError('No bridge for this protocol is known here')
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation, and the same of users */
export const getThirdPartyMatches = route({
  method: 'GET',
  path: [...v3('/thirdparty/location'), ...v3('/thirdparty/user')],
  auth: 'user',
  handle: () => [],
})
