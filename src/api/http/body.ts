import type { IncomingMessage } from 'node:http'
import type { Config } from '../../config.ts'
import { BadJsonError, MatrixError, TooLargeError } from '../../core/errors.ts'
import { hasLoneSurrogates } from '../../core/json/lone-surrogates.ts'
import { ExcessiveJsonError, requireModestJson } from '../../core/json/modest-json.ts'
import { bodyOf } from './client-left.ts'

/** Total bytes of bodies that this process may be reading. Above it, large bodies are refused. */
const MAX_BEING_READ = 256 * 1024 * 1024
const LARGE_BYTES = 1024 * 1024
const RETRY_MS = 5000
let beingRead = 0

const MAX_FORM_BYTES = 64 * 1024
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads a JSON body of at most `request_size` bytes within `request_timeout` milliseconds; an empty body is `{}`.
 * Throws M_TOO_LARGE, M_NOT_JSON, M_BAD_JSON for text that UTF-8 cannot encode, and 408 on timeout. `admit` receives
 * the size before the body is parsed, and may throw.
 */
export async function readJsonBody(
  request: IncomingMessage,
  limits: Config['limits'],
  admit?: (bytes: number) => Promise<void>,
): Promise<unknown> {
  const body = await readJson(request, limits, admit)
  return body === undefined ? {} : body
}

/** As `readJsonBody`, but an empty body is undefined. */
export async function readJson(
  request: IncomingMessage,
  limits: Config['limits'],
  admit?: (bytes: number) => Promise<void>,
): Promise<unknown> {
  const bytes = await within(limits.request_timeout, readBody(request, limits.request_size))
  await admit?.(bytes.length)
  return bytes.length === 0 ? undefined : parseJson(bytes, 'request body')
}

/**
 * Parses JSON of a client. `what` names it in errors. Throws M_NOT_JSON, and M_BAD_JSON and M_TOO_LARGE for JSON that
 * is too deep or too large.
 */
export function parseJson(bytes: Buffer, what: string): unknown {
  if (hasLoneSurrogates(bytes)) throw new BadJsonError(`The ${what} contains a lone surrogate`)
  try {
    requireModestJson(bytes)
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    if (error instanceof ExcessiveJsonError) {
      throw error.isTooDeep ? new BadJsonError(error.message) : new TooLargeError(error.message)
    }
    throw new MatrixError(400, 'M_NOT_JSON', `The ${what} is not JSON in UTF-8`)
  }
}

/** Reads a text body. Throws M_TOO_LARGE, M_BAD_JSON for malformed UTF-8, and 408. */
export async function readTextBody(request: IncomingMessage, limits: Config['limits']): Promise<string> {
  const bytes = await within(limits.request_timeout, readBody(request, limits.request_size))
  try {
    return utf8.decode(bytes)
  } catch {
    throw new BadJsonError('The request body is not text in UTF-8')
  }
}

/** Reads a submitted HTML form. Throws as `readJsonBody`. */
export async function readFormBody(request: IncomingMessage, limits: Config['limits']): Promise<URLSearchParams> {
  const bytes = await within(limits.request_timeout, readBody(request, Math.min(limits.request_size, MAX_FORM_BYTES)))
  const text = bytes.toString('latin1')
  if (/\0|%00/.test(text)) throw new BadJsonError('The form cannot contain the character NUL')
  return new URLSearchParams(text)
}

/**
 * On timeout the connection stays open for the error response. It closes after the response, which also ends the
 * pending read.
 */
function within<Result>(limit: number, work: Promise<Result>): Promise<Result> {
  const { promise: tooLong, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new MatrixError(408, 'M_UNKNOWN', 'The request took too long')), limit)
  return Promise.race([work, tooLong]).finally(() => clearTimeout(timer))
}

async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = () => new TooLargeError(`The request body is larger than ${limit} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of bodyOf(request)) {
      size += chunk.length
      beingRead += chunk.length
      if (size > limit) throw tooLarge()
      if (beingRead > MAX_BEING_READ && size > LARGE_BYTES) throw tooMany()
      chunks.push(chunk)
    }
  } finally {
    beingRead -= size
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

function tooMany(): MatrixError {
  const retry = { retry_after_ms: RETRY_MS }
  return new MatrixError(503, 'M_UNKNOWN', 'Too many large requests. Try again later.', retry)
}
