import { type Dispatcher, request } from 'undici'
import { readBounded } from './read-bounded.ts'

/** Requests to addresses that users name, as those of push gateways. */
export type OutgoingHttp = {
  /**
   * Posts JSON; answers of every status come back, `body` undefined where it is no JSON. Follows no redirects. Rejects when there is no
   * answer in time, the answer is too large, or the address is one to which no request may go.
   */
  postJson(
    url: string,
    body: unknown,
    bounds: { timeoutMs: number; signal: AbortSignal },
  ): Promise<{ status: number; body: unknown }>
}

const MAX_ANSWER_BYTES = 64 * 1024

/** `dispatcher`: connections that lead only where requests of users may lead. */
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
