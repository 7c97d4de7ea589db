import { type Dispatcher, request } from 'undici'
import { readBounded } from './read-bounded.ts'

/** `headers`: in addition to the type of the body. */
export type PostOptions = { timeoutMs: number; signal: AbortSignal; headers?: Readonly<Record<string, string>> }

/** `body` undefined: the response is not JSON. */
export type PostAnswer = { status: number; body: unknown }

/**
 * Requests to addresses that users set, such as push gateways, or that the configuration sets. Responses of every
 * status are returned. No redirect is followed. Rejects on a timeout, a too large response, or a forbidden address.
 */
export type OutgoingHttp = {
  postJson(url: string, body: unknown, options: PostOptions): Promise<PostAnswer>
  /** Posts form fields. */
  postForm(url: string, fields: Readonly<Record<string, string>>, options: PostOptions): Promise<PostAnswer>
}

const MAX_ANSWER_BYTES = 64 * 1024

/** `dispatcher`: the connections to use; they decide about private addresses. */
export function createOutgoingHttp(dispatcher: Dispatcher): OutgoingHttp {
  async function post(url: string, body: string, { timeoutMs, signal, headers }: PostOptions): Promise<PostAnswer> {
    const answer = await request(url, {
      dispatcher,
      method: 'POST',
      headers: { ...headers },
      body,
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]),
    })
    return { status: answer.statusCode, body: parse((await readBounded(answer.body, MAX_ANSWER_BYTES)).toString()) }
  }

  return {
    postJson: (url, body, options) =>
      post(url, JSON.stringify(body), {
        ...options,
        headers: { ...options.headers, 'content-type': 'application/json' },
      }),
    postForm: (url, fields, options) =>
      post(url, new URLSearchParams(fields).toString(), {
        ...options,
        headers: { ...options.headers, 'content-type': 'application/x-www-form-urlencoded' },
      }),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
