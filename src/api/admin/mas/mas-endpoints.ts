import type { AnyEndpoint } from '../../http/route.ts'
import { oauthClientEndpoints } from './oauth-clients.ts'
import { personalSessionEndpoints } from './personal-sessions.ts'
import { masRegistrationTokenEndpoints } from './registration-tokens.ts'
import { compatSessionEndpoints, oauthSessionEndpoints, userSessionEndpoints } from './session-kinds.ts'
import { siteEndpoints } from './site.ts'
import { upstreamEndpoints } from './upstream.ts'
import { masUserEmailEndpoints } from './user-emails.ts'
import { masUserEndpoints } from './users.ts'

/** The admin API of the Matrix Authentication Service. */
export const masEndpoints: readonly AnyEndpoint[] = [
  ...siteEndpoints,
  ...masUserEndpoints,
  ...masUserEmailEndpoints,
  ...masRegistrationTokenEndpoints,
  ...upstreamEndpoints,
  ...compatSessionEndpoints,
  ...oauthSessionEndpoints,
  ...userSessionEndpoints,
  ...personalSessionEndpoints,
  ...oauthClientEndpoints,
]
