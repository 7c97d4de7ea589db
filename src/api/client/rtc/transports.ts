import { requireLivekit, rtcTransports } from '../../../services/rtc/livekit.ts'
import { route } from '../../http/route.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4143 */
export const getRtcTransports = route({
  method: 'GET',
  path: ['/_matrix/client/v1/rtc/transports', '/_matrix/client/unstable/org.matrix.msc4143/rtc/transports'],
  auth: 'user',
  guests: true,
  handle(_call, app) {
    // Clients take an empty list for a server with calls, but nowhere to hold them.
    requireLivekit(app)
    return { rtc_transports: rtcTransports(app) }
  },
})
