import type { IncomingMessage, ServerResponse } from 'node:http'

const FORGET_MS = 5000

/**
 * Sees to what a client still sends after it was answered: it is read and forgotten for some seconds, then the connection ends. Who is cut off while sending loses the
 * answer too: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
 */
export function forgetRest(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return
    const timer = setTimeout(() => request.destroy(), FORGET_MS)
    const done = () => clearTimeout(timer)
    request.once('end', done).once('close', done).resume()
  })
}
