import type { IncomingMessage } from 'node:http'

/** Where clients find the conversation of sliding sync. */
const SOCKET_PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'

/** Returns whether a request is to become a WebSocket. All others are plain requests, whatever protocol they offer to upgrade to (RFC 9110, section 7.8). */
export function isUpgrade({ url, headers }: IncomingMessage): boolean {
  return url?.split('?')[0] === SOCKET_PATH && headers.upgrade?.toLowerCase() === 'websocket'
}
