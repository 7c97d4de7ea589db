import type { IncomingMessage, ServerResponse } from 'node:http'

const FORGET_MS = 5000

/**
 * Drains the unread request body for some seconds after the response, then closes the connection. Closing while the
 * client still sends can discard the response: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
 */
export function forgetRest(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return
    const timer = setTimeout(() => request.destroy(), FORGET_MS)
    const done = () => clearTimeout(timer)
    request.once('end', done).once('close', done).resume()
  })
}
