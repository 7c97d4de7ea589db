import { type Dispatcher, request } from 'undici'
import { readBounded } from './read-bounded.ts'

/** Requests to addresses that users set, such as push gateways. */
export type OutgoingHttp = {
  /**
   * Posts JSON; returns responses of every status, with `body` undefined if it is not JSON. Follows no redirects.
   * Rejects on a timeout, a too large response, or a forbidden address.
   */
  postJson(
    url: string,
    body: unknown,
    bounds: { timeoutMs: number; signal: AbortSignal },
  ): Promise<{ status: number; body: unknown }>
}

const MAX_ANSWER_BYTES = 64 * 1024

/** `dispatcher`: connections that reach only public addresses, unless the configuration allows others. */
export function createOutgoingHttp(dispatcher: Dispatcher): OutgoingHttp {
  return {
    async postJson(url, body, { timeoutMs, signal }) {
      const answer = await request(url, {
        dispatcher,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]),
      })
      return { status: answer.statusCode, body: parse((await readBounded(answer.body, MAX_ANSWER_BYTES)).toString()) }
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
