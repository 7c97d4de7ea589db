import type { Config, ListenerConfig } from '../config.ts'
import { adminEndpoints } from './admin-endpoints.ts'
import { rendezvousEndpoints } from './client/devices/rendezvous.ts'
import { textRendezvousEndpoints } from './client/devices/text-rendezvous.ts'
import { encryptionEndpoints } from './client/encryption-endpoints.ts'
import { pushEndpoints } from './client/push-endpoints.ts'
import { roomEndpoints } from './client/room-endpoints.ts'
import { roomReadingEndpoints } from './client/room-reading-endpoints.ts'
import { delayedEventEndpoints } from './client/rooms/delayed-events.ts'
import { threadSubscriptionEndpoints } from './client/rooms/thread-subscriptions.ts'
import { livekitServiceEndpoints } from './client/rtc/livekit-service.ts'
import { postDelegateLeave, postLivekitToken } from './client/rtc/livekit-token.ts'
import { postLivekitWebhook } from './client/rtc/livekit-webhook.ts'
import { getRtcTransports } from './client/rtc/transports.ts'
import { oldSyncEndpoints } from './client/sync/old-sync.ts'
import { postSlidingSync, postUnstableSlidingSync } from './client/sync/sliding-sync.ts'
import { getSync } from './client/sync/sync.ts'
import { userEndpoints } from './client/user-endpoints.ts'
import { federationEndpoints } from './federation/federation-endpoints.ts'
import { postFederationLivekitToken } from './federation/livekit-token.ts'
import { getOpenIdUserinfo } from './federation/openid-userinfo.ts'
import { getHealth } from './health.ts'
import type { AnyEndpoint } from './http/route.ts'
import { mediaEndpoints } from './media/media-endpoints.ts'
import { getMetrics } from './metrics.ts'
import { oauthEndpoints } from './oauth/oauth-endpoints.ts'
import { administratorPages, oauthPages, pageEndpoints } from './page-endpoints.ts'

/** Without LiveKit clients get M_UNRECOGNIZED, by which they know that this server holds no calls. */
const livekitEndpoints: readonly AnyEndpoint[] = [
  getRtcTransports,
  postDelegateLeave,
  ...livekitServiceEndpoints,
  postLivekitWebhook,
  postFederationLivekitToken,
]

/** The endpoints of each part of the API that a listener can serve. */
export const ENDPOINTS: Record<ListenerConfig['serves'][number], readonly AnyEndpoint[]> = {
  client: [
    ...userEndpoints,
    ...roomEndpoints,
    ...roomReadingEndpoints,
    ...delayedEventEndpoints,
    ...threadSubscriptionEndpoints,
    ...rendezvousEndpoints,
    ...textRendezvousEndpoints,
    ...encryptionEndpoints,
    ...pushEndpoints,
    getSync,
    postUnstableSlidingSync,
    postSlidingSync,
    ...oldSyncEndpoints,
    ...pageEndpoints,
    ...oauthEndpoints,
    getOpenIdUserinfo,
    getRtcTransports,
    postLivekitToken,
    postDelegateLeave,
    ...livekitServiceEndpoints,
    postLivekitWebhook,
  ],
  federation: [...federationEndpoints, getOpenIdUserinfo, postFederationLivekitToken],
  media: mediaEndpoints,
  admin: [...adminEndpoints, ...administratorPages],
  metrics: [getMetrics],
}

/**
 * Returns the endpoints of a listener. `/health` is on every listener. Endpoints of what the configuration turns off,
 * federation, OAuth 2.0 and LiveKit, are left out.
 */
export function endpointsFor(
  serves: ListenerConfig['serves'],
  { federation, oauth, calls }: Pick<Config, 'federation' | 'oauth' | 'calls'>,
): AnyEndpoint[] {
  const endpoints = [getHealth, ...new Set(serves.flatMap((part) => ENDPOINTS[part]))]
  const off = new Set<AnyEndpoint>([
    ...(federation.enabled ? [] : [...federationEndpoints, postFederationLivekitToken]),
    ...(calls.livekit.url === undefined ? livekitEndpoints : []),
    ...(oauth.enabled ? [] : [...oauthEndpoints, ...oauthPages]),
  ])
  return endpoints.filter((endpoint) => !off.has(endpoint))
}
