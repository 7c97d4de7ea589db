import { authMetadata } from '../../services/oauth/metadata.ts'
import { route } from '../http/route.ts'

/**
 * Metadata of the authorization server: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata
 * Some clients ask only the unstable path, and libraries for OpenID Connect the well-known one.
 */
export const getAuthMetadata = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/auth_metadata',
    '/_matrix/client/unstable/org.matrix.msc2965/auth_metadata',
    '/.well-known/openid-configuration',
  ],
  auth: 'none',
  handle: (_, app) => authMetadata(app),
})
