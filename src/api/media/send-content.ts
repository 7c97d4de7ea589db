import type { IncomingMessage, ServerResponse } from 'node:http'
import { create as contentDisposition } from 'content-disposition'
import fresh from 'fresh'
import type { App } from '../../app.ts'
import { openFile } from '../../services/media/open-file.ts'
import { RESPONDED } from '../http/route.ts'
import { type Recipient, sendStream } from '../http/send-stream.ts'
import { requestedRange } from './byte-range.ts'

/** The content to send, and how browsers treat it. */
export type Content = {
  objectKey: string
  size: number
  /** Without quotes. */
  etag: string
  contentType: string
  disposition: 'inline' | 'attachment'
  filename: string | undefined
  /** `private`: shared caches must not store it. */
  cache: 'private' | 'public'
  /** Whether the client follows a redirect to the object, which the store may offer; default: it does not. */
  mayRedirect?: boolean
}

/**
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository: uploaded content must not run scripts in this
 * origin.
 */
const SAFETY = {
  'Content-Security-Policy':
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';",
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
}

/**
 * Sends stored bytes with back-pressure: all of them or one range. Redirects to the store if it and the client allow that. HEAD and a matching If-None-Match get none. Throws
 * M_NOT_FOUND if the store has lost them.
 */
export async function sendContent(
  app: App,
  { request: { raw: request }, ...recipient }: Recipient & { request: { raw: IncomingMessage } },
  content: Content,
): Promise<typeof RESPONDED> {
  const { response } = recipient
  const etag = `"${content.etag}"`
  const headers = headersOf(content, etag)
  // Without Cache-Control: its `no-cache` makes caches revalidate, which this response does.
  if (fresh({ 'if-none-match': request.headers['if-none-match'] }, { etag })) return end(response, 304, headers)
  const url = content.mayRedirect ? await presignedUrl(app, content) : undefined
  // The redirect itself must not be cached: its URL expires.
  if (url !== undefined) return end(response, 307, { Location: url, 'Cache-Control': 'no-store' })
  const range = rangeOf(request, content.size, etag)
  if (range === 'unsatisfiable') return end(response, 416, { ...SAFETY, 'Content-Range': `bytes */${content.size}` })
  const length = range ? range.end - range.start + 1 : content.size
  const contentRange = range && { 'Content-Range': `bytes ${range.start}-${range.end}/${content.size}` }
  const status = range ? 206 : 200
  const allHeaders = { ...headers, ...describe(content), ...contentRange, 'Content-Length': length }
  if (request.method === 'HEAD') return end(response, status, allHeaders)
  const stream = await openFile(app, content.objectKey, range)
  response.writeHead(status, allHeaders)
  return sendStream(app, recipient, { stream, isFreed: true })
}

async function presignedUrl(app: App, content: Content): Promise<string | undefined> {
  return app.media.objects.presign?.(content.objectKey, {
    contentType: content.contentType,
    disposition: describe(content)['Content-Disposition'],
    cacheControl: cacheControlOf(content),
  })
}

function cacheControlOf({ cache }: Content): string {
  return `${cache}, max-age=31536000, immutable`
}

function headersOf(content: Content, etag: string): Record<string, string> {
  return { ...SAFETY, ETag: etag, 'Cache-Control': cacheControlOf(content) }
}

function describe(content: Content) {
  return {
    'Content-Type': content.contentType,
    'Content-Disposition': contentDisposition(content.filename, { type: content.disposition }),
    'Accept-Ranges': 'bytes',
  }
}

/** With If-Range, a range applies only to the content that the client knows. */
function rangeOf(request: IncomingMessage, size: number, etag: string) {
  const ifRange = request.headers['if-range']
  return ifRange === undefined || ifRange === etag ? requestedRange(request.headers.range, size) : undefined
}

function end(response: ServerResponse, status: number, headers: Record<string, string | number>): typeof RESPONDED {
  response.writeHead(status, headers).end()
  return RESPONDED
}
