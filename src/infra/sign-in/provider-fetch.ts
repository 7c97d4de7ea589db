import { type Dispatcher, request } from 'undici'
import { readBounded } from '../http/read-bounded.ts'

type Options = {
  method?: string
  headers?: Record<string, string> | Headers
  body?: unknown
  signal?: AbortSignal | undefined
}

/** A `fetch` for libraries that speak with identity providers. */
export type ProviderFetch = (url: string, options: Options) => Promise<Response>

const MAX_BYTES = 1024 * 1024
export const PROVIDER_TIMEOUT_MS = 10_000

/**
 * `dispatcher`: connections to hosts in the configuration, which may be private addresses. Answers are read whole, and
 * redirects are not followed. Rejects with a TypeError, as `fetch` does, if there is no answer or a too large one.
 */
export function createProviderFetch(dispatcher: Dispatcher): ProviderFetch {
  return async (url, { method = 'GET', headers = {}, body, signal }) => {
    const limit = AbortSignal.timeout(PROVIDER_TIMEOUT_MS)
    try {
      const answer = await request(url, {
        dispatcher,
        method: method as Dispatcher.HttpMethod,
        headers: headers instanceof Headers ? Object.fromEntries(headers) : headers,
        ...(body !== undefined && body !== null && { body: String(body) }),
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      })
      const text = await readBounded(answer.body, MAX_BYTES)
      return new Response(hasBody(answer.statusCode) ? text : null, {
        status: answer.statusCode,
        headers: singleValues(answer.headers),
      })
    } catch (error) {
      throw new TypeError(`no answer from ${new URL(url).host}`, { cause: error })
    }
  }
}

function hasBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== 304
}

function singleValues(headers: Record<string, string | string[] | undefined>): Headers {
  const result = new Headers()
  for (const [name, values] of Object.entries(headers))
    for (const value of [values ?? []].flat()) result.append(name, value)
  return result
}
