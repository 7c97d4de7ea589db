import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { type Agent, type Dispatcher, request } from 'undici'
import { hasBlockedPort } from './blocked-ports.ts'
import { createNameLookUp } from './name-look-up.ts'
import { type ConnectionRules, createGuardedAgent } from './trusted-connections.ts'

/**
 * `isAllowed` is asked about each redirect too. `maxBytes`: of a body of this content type, after decompression; 0: it
 * is not needed.
 */
export type PageRequest = {
  accept: string
  acceptLanguage: string | undefined
  maxBytes: (contentType: string | undefined) => number
  isAllowed: (url: URL) => boolean
  signal: AbortSignal
}

/** `url`: after redirects. `isWhole`: the body had at most `maxBytes` bytes. */
export type FetchedPage = { url: URL; contentType: string | undefined; body: Buffer; isWhole: boolean }

/**
 * Fetches a public page, and follows redirects. Rejects on a forbidden address, another status than 2xx, too many
 * redirects, and when `signal` aborts. Reads no more of the body than needed.
 */
export type FetchPage = (url: URL, options: PageRequest) => Promise<FetchedPage>

const MAX_REDIRECTS = 5
const MAX_HEADER_BYTES = 16 * 1024
/** Many sites send their Open Graph tags only to clients that look like a browser or a bot. */
export const PAGE_FETCH_USER_AGENT = 'Mozilla/5.0 (compatible; Hearth; Matrix preview bot)'

/** `agent`: the connections to use; they decide about private addresses. */
export function createPageFetch(agent: Dispatcher): FetchPage {
  return async (first, options) => {
    let url = first
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      if (hasBlockedPort(url) || !options.isAllowed(url)) throw new Error('the page is at a place that is not allowed')
      const answer = await request(url, {
        dispatcher: agent,
        signal: options.signal,
        headers: {
          'user-agent': PAGE_FETCH_USER_AGENT,
          accept: options.accept,
          'accept-encoding': 'gzip, deflate, br',
          ...(options.acceptLanguage !== undefined && { 'accept-language': options.acceptLanguage }),
        },
      })
      const { statusCode: status, headers, body } = answer
      const location = one(headers.location)
      if (status >= 200 && status < 300) {
        const contentType = one(headers['content-type'])?.trim()
        const maxBytes = options.maxBytes(contentType)
        return { url, contentType, ...(await readUpTo(decoded(body, one(headers['content-encoding'])), maxBytes)) }
      }
      close(body)
      if (![301, 302, 303, 307, 308].includes(status) || location === undefined)
        throw new Error(`the page has status ${status}`)
      url = new URL(location, url)
    }
    throw new Error('the page redirects too often')
  }
}

/** Connections for `createPageFetch`: a new one for each request, which `maxReceived` limits. */
export function createPageAgent(rules: Required<Omit<ConnectionRules, 'lookUp'>>): Agent {
  return createGuardedAgent(
    { ...rules, lookUp: createNameLookUp() },
    // undici connects once more after an aborted request, and would keep that connection for seconds.
    { maxHeaderSize: MAX_HEADER_BYTES, pipelining: 0, keepAliveTimeout: 1 },
  )
}

/** Closes the connection, so that the rest of an endless body is not read. */
function close(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => {}).destroy()
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

/** Decompresses while reading, so that a small body that grows is noticed. */
function decoded(body: Dispatcher.ResponseData['body'], header = ''): AsyncIterable<Buffer> {
  const encoding = header.trim().toLowerCase()
  if (encoding === '' || encoding === 'identity') return body
  const decoder = decoderFor(encoding)
  if (decoder) return pipeline(body, decoder, () => {})
  close(body)
  throw new Error('the page has an unknown encoding')
}

function decoderFor(encoding: string): Transform | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip()
  if (encoding === 'deflate') return createInflate()
  return encoding === 'br' ? createBrotliDecompress() : undefined
}

async function readUpTo(body: AsyncIterable<Buffer>, limit: number): Promise<{ body: Buffer; isWhole: boolean }> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    // Leaving the loop destroys the stream, and with it the connection.
    if (size > limit) break
  }
  return { body: Buffer.concat(chunks).subarray(0, limit), isWhole: size <= limit }
}
