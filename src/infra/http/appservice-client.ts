import { type Dispatcher, request as send } from 'undici'
import type { Appservice } from '../../core/appservice.ts'
import type { Clock } from '../clock.ts'
import { readBounded } from './read-bounded.ts'

/** A request to an application service. */
export type AppserviceRequest = {
  method: 'GET' | 'PUT' | 'POST'
  /** The part after `/_matrix/app/v1`, encoded. */
  path: string
  /** The path in application services that predate API versions; absent: they lack it. */
  legacyPath?: string
  query?: Iterable<[string, string]>
  /** JSON. */
  body?: string
  timeoutMs: number
  signal?: AbortSignal
}

/** The response, of any status. */
export type AppserviceAnswer = { status: number; text: string }

/**
 * Sends requests to application services:
 * https://spec.matrix.org/v1.19/application-service-api/#homeserver---application-service-api
 */
export type AppserviceClient = {
  /** Rejects with AppserviceSilence if there is no response, as always for an application service without URL. */
  request(appservice: Appservice, request: AppserviceRequest): Promise<AppserviceAnswer>
}

/** The application service did not respond. */
export class AppserviceSilence extends Error {
  /** Whether the request timed out; otherwise nothing accepts connections. */
  readonly isTimeout: boolean
  constructor(id: string, cause: unknown) {
    super(`the application service ${id} does not answer`, { cause })
    this.name = 'AppserviceSilence'
    this.isTimeout = cause instanceof Error && cause.name === 'TimeoutError'
  }
}

const MAX_BYTES = 10_000_000
/** The statuses of application services for an unknown path. */
const UNKNOWN_PATH: readonly number[] = [404, 405, 501]
/** A legacy application service is asked in the new way again after this time: it may have been updated. */
const OLD_MS = 10 * 60_000

/** `dispatcher`: connections to hosts in the configuration, which may be private addresses. */
export function createAppserviceClient(clock: Clock, dispatcher: Dispatcher): AppserviceClient {
  /** Legacy application services, and until when that is assumed. */
  const old = new Map<string, number>()

  async function ask(appservice: Appservice, url: string, request: AppserviceRequest): Promise<AppserviceAnswer> {
    const { method, body, timeoutMs, signal } = request
    const limit = AbortSignal.timeout(timeoutMs)
    try {
      const answer = await send(url, {
        dispatcher,
        method,
        headers: {
          authorization: `Bearer ${appservice.hsToken}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body }),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      })
      return { status: answer.statusCode, text: (await readBounded(answer.body, MAX_BYTES)).toString() }
    } catch (error) {
      throw new AppserviceSilence(appservice.id, limit.aborted ? limit.reason : error)
    }
  }

  return {
    async request(appservice, request) {
      const { id, url } = appservice
      if (url === null) throw new AppserviceSilence(id, new Error('it has no URL'))
      const query = [...(request.query ?? [])]
      const askAsNew = () => ask(appservice, `${url}/_matrix/app/v1${request.path}${queryString(query)}`, request)
      const { legacyPath } = request
      if (legacyPath === undefined) return askAsNew()
      // Legacy application services expect the token in the query.
      const withToken: [string, string][] = [...query, ['access_token', appservice.hsToken]]
      const askAsOld = () => ask(appservice, url + legacyPath + queryString(withToken), request)
      if ((old.get(id) ?? 0) > clock.now()) return askAsOld()
      const answer = await askAsNew()
      if (!UNKNOWN_PATH.includes(answer.status)) return answer
      const second = await askAsOld()
      if (UNKNOWN_PATH.includes(second.status)) return answer
      old.set(id, clock.now() + OLD_MS)
      return second
    },
  }
}

function queryString(query: [string, string][]): string {
  return query.length > 0 ? `?${new URLSearchParams(query)}` : ''
}
