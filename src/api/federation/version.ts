import { HEARTH_VERSION } from '../../infra/hearth-version.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1version */
export const getFederationVersion = route({
  method: 'GET',
  path: '/_matrix/federation/v1/version',
  auth: 'none',
  handle: () => ({ server: { name: 'Hearth', version: HEARTH_VERSION } }),
})
