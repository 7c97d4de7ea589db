import type { IncomingMessage } from 'node:http'

/** The WebSocket path of sliding sync. */
export const SOCKET_PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'

/**
 * Returns whether a request becomes a WebSocket. All others are plain requests, whatever upgrade they offer (RFC 9110,
 * section 7.8).
 */
export function isUpgrade({ url, headers }: IncomingMessage): boolean {
  return url?.split('?')[0] === SOCKET_PATH && headers.upgrade?.toLowerCase() === 'websocket'
}
