import { setTimeout as pause } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import { z } from 'zod'
import type { ServerName } from '../../core/ids.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import { hasLoneSurrogates } from '../../core/json/lone-surrogates.ts'
import { ExcessiveJsonError, requireModestJson } from '../../core/json/modest-json.ts'
import { isDeniedBy, type ServerLists } from '../../core/rooms/server-lists.ts'
import { signText } from '../../core/signing/sign-json.ts'
import { formatXMatrix, requestText } from '../../core/signing/x-matrix.ts'
import { BodyTooLargeError, bounded, paced, readBounded } from '../http/read-bounded.ts'
import type { Logger } from '../logger.ts'
import type { Lane } from './asked-lanes.ts'
import type { FederationConnections } from './federation-connections.ts'
import { DeniedServerError, FederationError } from './federation-error.ts'
import type { SigningKeys } from './signing-keys.ts'

export type FederationRequest = {
  destination: ServerName
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** From `/_matrix/…`, with percent-encoded parts. */
  path: string
  /** Query parameters; undefined ones are omitted, lists are repeated. */
  query?: Record<string, string | number | boolean | readonly string[] | undefined>
  /** JSON */
  body?: unknown
  /** The body as canonical JSON, instead of `body`. */
  content?: string
  /** For the whole request with its response; default 30 s, for streams 10 minutes. */
  timeoutMs?: number
  /** Until the response starts; default: a minute, if `timeoutMs` allows. */
  beginsWithinMs?: number
  /** Of the response; default 1 MiB, for streams 1 GiB. */
  maxBytes?: number
  /** Aborts the request. */
  signal?: AbortSignal
  /**
   * The kind of connection: `own` (the default) for requests of this server itself. Each kind has separate connections,
   * so that requests caused by users and unauthenticated clients do not delay transactions to the server.
   */
  lane?: Lane
  /** Bytes shared by the responses of several requests. */
  budget?: { bytes: number }
}

/** A 2xx response whose body is a stream. Read it to its end or leave the loop: either frees the connection. */
export type FederationStream = {
  headers: Record<string, string | string[] | undefined>
  body: AsyncIterable<Buffer>
}

/** Signed requests to other servers. https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
export type FederationClient = {
  /**
   * Returns a server's JSON response unvalidated. Throws FederationError if there is no response, if it is invalid JSON
   * or over the limits, or if the server refuses.
   */
  request(command: FederationRequest): Promise<unknown>
  /** Returns a large or non-JSON response. Throws FederationError, also while it is read. */
  stream(command: FederationRequest): Promise<FederationStream>
  /** Downloads from an HTTPS address that `destination` returned, unsigned. Throws as `stream`. */
  download(
    destination: ServerName,
    url: string,
    bounds: { timeoutMs: number; maxBytes: number; signal?: AbortSignal },
  ): Promise<FederationStream>
}

export const TIMEOUT_MS = 30_000
export const STREAM_TIMEOUT_MS = 600_000
const MAX_BYTES = 1024 * 1024
const MAX_STREAM_BYTES = 1024 * 1024 * 1024
const MAX_REDIRECTS = 4
const MAX_ERROR_BYTES = 64 * 1024
const ERROR_TIMEOUT_MS = 5000
const NOTHING_THERE = { status: 404, errcode: 'M_NOT_FOUND' }

type Sender = {
  serverName: ServerName
  signingKeys: SigningKeys
  enabled: boolean
  /** Servers that get no requests; absent: none. */
  servers?: ServerLists
  connections: FederationConnections
  logger?: Pick<Logger, 'debug'>
  /** Is called after each request that got a response: how long it took, and the bytes of the bodies. */
  requestEnded?(destination: ServerName, traffic: { seconds: number; received: number; sent: number }): void
}

export function createFederationClient(from: Sender): FederationClient {
  const stream = (command: FederationRequest) => openStream(from, command)
  return {
    stream,
    download: (...asked) => download(from, asked),
    async request(command) {
      const maxBytes = command.maxBytes ?? MAX_BYTES
      const { body } = await stream({ ...command, timeoutMs: command.timeoutMs ?? TIMEOUT_MS, maxBytes })
      const text = await readBounded(body, maxBytes)
      const unreadable = `${command.destination} does not answer JSON that can be read`
      if (hasLoneSurrogates(text)) throw new FederationError(unreadable, { retryable: false })
      try {
        requireModestJson(text)
        return JSON.parse(text.toString())
      } catch (error) {
        const what = error instanceof ExcessiveJsonError ? 'JSON that is worth reading' : 'JSON'
        throw new FederationError(`${command.destination} does not answer ${what}`, { cause: error })
      }
    },
  }
}

async function openStream(from: Sender, command: FederationRequest): Promise<FederationStream> {
  const { destination } = command
  // Without federation all remote resources are missing.
  if (!from.enabled) throw new FederationError('This server does not federate', NOTHING_THERE)
  requireAllowed(from, destination)
  if (destination === from.serverName) throw new Error(`${command.path}: this server does not ask itself`)
  const signal = signalOf(command.signal, command.timeoutMs ?? STREAM_TIMEOUT_MS)
  // The same text is signed and sent.
  const content = command.content ?? contentOf(command)
  const ended = measure(from, destination, content)
  const answer = await begun(command, signal, (either) => send(from, { ...command, content }, either)).catch(
    (error) => {
      from.logger?.debug({ err: error, destination }, 'request to remote server failed')
      throw error
    },
  )
  if (answer.statusCode >= 200 && answer.statusCode < 300) {
    const left = command.budget ?? { bytes: Number.POSITIVE_INFINITY }
    const bytes = bounded(paced(answer.body), command.maxBytes ?? MAX_STREAM_BYTES, left)
    const body = explained(destination, bytes, ended)
    return { headers: answer.headers, body }
  }
  ended(0)
  throw await refusal(destination, answer)
}

function requireAllowed({ servers }: Pick<Sender, 'servers'>, destination: ServerName): void {
  if (servers && isDeniedBy(servers, destination)) throw new DeniedServerError(destination)
}

/** Returns a function that reports the end of a request, with the bytes of the response. */
function measure(
  { requestEnded }: Pick<Sender, 'requestEnded'>,
  destination: ServerName,
  content = '',
): (received: number) => void {
  const started = performance.now()
  const sent = requestEnded ? Buffer.byteLength(content) : 0
  return (received) => requestEnded?.(destination, { seconds: (performance.now() - started) / 1000, received, sent })
}

async function download(
  from: Pick<Sender, 'servers' | 'connections' | 'requestEnded'>,
  [destination, url, bounds]: Parameters<FederationClient['download']>,
): Promise<FederationStream> {
  requireAllowed(from, destination)
  const { maxBytes } = bounds
  const signal = signalOf(bounds.signal, bounds.timeoutMs)
  const ended = measure(from, destination)
  try {
    for (let hops = 0, at = new URL(url); hops < MAX_REDIRECTS && at.protocol === 'https:'; hops++) {
      const answer = await request(at, {
        dispatcher: from.connections.anywhere,
        signal,
        headers: { 'user-agent': 'Hearth' },
      })
      if (answer.statusCode === 200)
        return { headers: answer.headers, body: explained(destination, bounded(paced(answer.body), maxBytes), ended) }
      const { location } = answer.headers
      if (answer.statusCode < 300 || answer.statusCode > 399 || typeof location !== 'string')
        throw await refusal(destination, answer)
      await answer.body.dump()
      at = new URL(location, at)
    }
  } catch (error) {
    throw unreachable(destination, error)
  }
  throw new FederationError(`${destination} sends us to nowhere`, { retryable: false })
}

function signalOf(signal: AbortSignal | undefined, timeoutMs: number): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal ? AbortSignal.any([signal, timeout]) : timeout
}

/** Returns the result of `work` if it is in time. */
async function begun<Result>(
  { beginsWithinMs }: FederationRequest,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (beginsWithinMs === undefined) return work(signal)
  const late = new AbortController()
  const error = new DOMException('The response does not start', 'TimeoutError')
  const timer = setTimeout(() => late.abort(error), beginsWithinMs)
  try {
    return await work(AbortSignal.any([signal, late.signal]))
  } finally {
    clearTimeout(timer)
  }
}

async function send(
  from: Sender,
  command: Omit<FederationRequest, 'content'> & { content: string | undefined },
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { destination, method, path, query, content } = command
  const uri = path + queryText(query)
  const { serverName: origin } = from
  const signingKey = from.signingKeys.current
  const signature = signText(requestText({ method, uri, origin, destination, content }), signingKey.privateKey)
  const authorization = formatXMatrix({ origin, destination, keyId: signingKey.keyId, signature })
  try {
    const { target, dispatcher } = await from.connections.to(destination, command.lane)
    return await dispatcher.request({
      path: uri,
      method,
      headers: {
        host: target.hostHeader,
        authorization,
        'user-agent': 'Hearth',
        ...(content !== undefined && { 'content-type': 'application/json' }),
      },
      ...(content !== undefined && { body: content }),
      signal,
    })
  } catch (error) {
    throw unreachable(destination, error)
  }
}

function contentOf({ body }: FederationRequest): string | undefined {
  return body === undefined ? undefined : canonicalJson(body as object, { strict: false })
}

function queryText(query: FederationRequest['query'] = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of value === undefined ? [] : [value].flat()) parameters.append(name, String(each))
  }
  // Encodes a blank as %20, which cannot be confused with a plus sign.
  return parameters.size === 0 ? '' : `?${parameters.toString().replaceAll('+', '%20')}`
}

async function* explained(
  destination: ServerName,
  body: AsyncIterable<Buffer>,
  ended: (received: number) => void,
): AsyncGenerator<Buffer> {
  let received = 0
  try {
    for await (const chunk of body) {
      received += chunk.length
      yield chunk
    }
  } catch (error) {
    throw unreachable(destination, error)
  } finally {
    ended(received)
  }
}

function unreachable(destination: ServerName, error: unknown): FederationError {
  if (error instanceof FederationError) return error
  if (error instanceof BodyTooLargeError) {
    return new FederationError(`${destination} answers too much`, { cause: error, retryable: false })
  }
  // The same message for all reasons: they would reveal which names exist in this network. The log has the reason.
  return new FederationError(`${destination} cannot be reached`, { cause: error })
}

/** Converts a non-2xx response to an error. */
async function refusal(destination: ServerName, answer: Dispatcher.ResponseData): Promise<FederationError> {
  const status = answer.statusCode
  // Gives up on long or slow error responses.
  const text = await Promise.race([
    readBounded(answer.body, MAX_ERROR_BYTES).catch(() => undefined),
    pause(ERROR_TIMEOUT_MS, undefined, { ref: false }),
  ])
  answer.body.on('error', () => {}).destroy()
  const { errcode, error, room_version, retry_after_ms } = refusalBody.parse(parseObject(text))
  const said = error?.slice(0, MAX_REASON)
  const retryAfterMs = retryAfter(answer.headers['retry-after'], retry_after_ms)
  return new FederationError(`${destination} answers ${status}${said === undefined ? '' : `: ${said}`}`, {
    status,
    ...(errcode !== undefined && { errcode }),
    ...(said !== undefined && { said }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    extra: {
      ...(room_version !== undefined && { room_version }),
      ...(retry_after_ms !== undefined && { retry_after_ms }),
    },
  })
}

const ERRCODE = /^(M_[A-Z0-9_]{1,100}|[A-Za-z0-9_]{1,100}\.[\w.]{1,100})$/
const MAX_REASON = 1000
const MAX_RETRY_AFTER_MS = 24 * 3_600_000

/**
 * The used parts of an error response: clients may see them. Parts that clients would take for this server's, or cannot
 * parse, are dropped.
 */
const refusalBody = z.object({
  errcode: z.string().regex(ERRCODE).optional().catch(undefined),
  error: z.string().optional().catch(undefined),
  room_version: z.string().max(255).optional().catch(undefined),
  retry_after_ms: z.number().int().min(0).max(MAX_RETRY_AFTER_MS).optional().catch(undefined),
})

function parseObject(text: Buffer | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text?.toString() ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}

function retryAfter(header: string | string[] | undefined, field: number | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d+$/.test(header)) return field
  return Math.min(Number(header) * 1000, MAX_RETRY_AFTER_MS)
}
