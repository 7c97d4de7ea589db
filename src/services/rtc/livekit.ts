import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'

/** Path of the service from which clients without an access token get tokens of LiveKit. */
export const LIVEKIT_SERVICE_PATH = '/livekit/jwt'

/** The configured LiveKit. `apiUrl`: where this server reaches it. `serviceUrl`: of this server's token service. */
export type Livekit = { url: string; apiUrl: string; serviceUrl: string; apiKey: string; apiSecret: string }

/** Returns the configured LiveKit; undefined if there is none. */
function configuredLivekit({ config }: Pick<App, 'config'>): Livekit | undefined {
  const { url, api_key: apiKey, api_secret: apiSecret, api_url, service_url } = config.calls.livekit
  if (url === undefined || apiKey === undefined || apiSecret === undefined) return undefined
  return {
    url,
    apiKey,
    apiSecret,
    apiUrl: api_url ?? url.replace(/^ws/, 'http'),
    serviceUrl: service_url ?? `${config.public_base_url}${LIVEKIT_SERVICE_PATH}`,
  }
}

/** Returns the configured LiveKit. Throws 404 M_UNRECOGNIZED if there is none, as for an unknown path. */
export function requireLivekit(app: Pick<App, 'config'>): Livekit {
  const livekit = configuredLivekit(app)
  if (!livekit) throw new MatrixError(404, 'M_UNRECOGNIZED', 'This server has no LiveKit (calls.livekit)')
  return livekit
}

/** One transport: https://github.com/matrix-org/matrix-spec-proposals/pull/4195 */
export type RtcTransport = { type: 'livekit'; livekit_service_url: string; url: string }

/**
 * Returns the transports of MatrixRTC; empty if none is configured. `livekit_service_url` is for clients without the
 * client API for tokens.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4143
 */
export function rtcTransports(app: Pick<App, 'config'>): RtcTransport[] {
  const livekit = configuredLivekit(app)
  return livekit ? [{ type: 'livekit', livekit_service_url: livekit.serviceUrl, url: livekit.url }] : []
}
