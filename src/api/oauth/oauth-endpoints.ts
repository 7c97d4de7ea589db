import type { AnyEndpoint } from '../http/route.ts'
import { postDeviceAuthorization } from './device-authorization.ts'
import { getAuthMetadata } from './metadata.ts'
import { getJwks, getUserinfo, postUserinfo } from './openid.ts'
import { postRegisterClient } from './register-client.ts'
import { postRevoke } from './revoke.ts'
import { postToken } from './token.ts'

/** OAuth 2.0 for clients: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api */
export const oauthEndpoints: AnyEndpoint[] = [
  getAuthMetadata,
  postRegisterClient,
  postDeviceAuthorization,
  postToken,
  postRevoke,
  getJwks,
  getUserinfo,
  postUserinfo,
]
