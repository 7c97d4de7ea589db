import { type Dispatcher, request } from 'undici'
import { readBounded } from './read-bounded.ts'

/** `headers`: in addition to the type of the body. `maxBytes`: of the response, 64 KiB by default. */
export type OutgoingOptions = {
  timeoutMs: number
  signal: AbortSignal
  headers?: Readonly<Record<string, string>>
  maxBytes?: number
}

/** `body` undefined: the response is not JSON. */
export type OutgoingAnswer = { status: number; body: unknown }

/**
 * Requests to addresses that users set, such as push gateways, or that the configuration sets. Responses of every
 * status are returned. No redirect is followed. Rejects on a timeout, a too large response, or a forbidden address.
 */
export type OutgoingHttp = {
  getJson(url: string, options: OutgoingOptions): Promise<OutgoingAnswer>
  postJson(url: string, body: unknown, options: OutgoingOptions): Promise<OutgoingAnswer>
  /** Posts form fields. */
  postForm(url: string, fields: Readonly<Record<string, string>>, options: OutgoingOptions): Promise<OutgoingAnswer>
}

const MAX_ANSWER_BYTES = 64 * 1024

/** `dispatcher`: the connections to use; they decide about private addresses. */
export function createOutgoingHttp(dispatcher: Dispatcher): OutgoingHttp {
  async function send(
    url: string,
    message: { method: 'GET' } | { method: 'POST'; type: string; body: string },
    { timeoutMs, signal, headers, maxBytes = MAX_ANSWER_BYTES }: OutgoingOptions,
  ): Promise<OutgoingAnswer> {
    const answer = await request(url, {
      dispatcher,
      method: message.method,
      headers: { ...headers, ...(message.method === 'POST' && { 'content-type': message.type }) },
      body: message.method === 'POST' ? message.body : null,
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]),
    })
    return { status: answer.statusCode, body: parse((await readBounded(answer.body, maxBytes)).toString()) }
  }

  return {
    getJson: (url, options) => send(url, { method: 'GET' }, options),
    postJson: (url, body, options) =>
      send(url, { method: 'POST', type: 'application/json', body: JSON.stringify(body) }, options),
    postForm: (url, fields, options) => {
      const body = new URLSearchParams(fields).toString()
      return send(url, { method: 'POST', type: 'application/x-www-form-urlencoded', body }, options)
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
