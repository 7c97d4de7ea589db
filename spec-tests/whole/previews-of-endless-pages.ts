import type { RequestListener, ServerResponse } from 'node:http'
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser } from '../harness/client.ts'
import type { Attack } from '../harness/hostile-world.ts'
import { oembedLink, og, pageWorld, previewPage, refresh } from '../harness/page-world.ts'

/** More than the limits of a page and an image, and what sockets hold. */
const MAX_SENT = 24 * 1024 * 1024
const MIB = Buffer.alloc(1024 * 1024, 'x')

/** Writes one chunk again and again for as long as the other side reads. */
function flood(response: Pick<ServerResponse, 'write' | 'once' | 'destroyed'>, chunk: Buffer | string): void {
  const write = () => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', write)
  }
  write()
}

const endless =
  (headers: Record<string, string>, chunk: Buffer = MIB, status = 200): RequestListener =>
  (_, response) => {
    response.writeHead(status, headers)
    flood(response, chunk)
  }

/** Takes the connection out of HTTP. */
const raw =
  (start: string, chunk: string): RequestListener =>
  (request) => {
    request.socket.write(start)
    flood(request.socket as never, chunk)
  }

const html = { 'content-type': 'text/html' }
const png = { 'content-type': 'image/png' }
const zeros = Buffer.alloc(8 * 1024 * 1024)
const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n'
/** A gzip header with a file name that does not end. */
const GZIP_NAME = Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3])
/** A deflate block without content, of which there can be any number. */
const EMPTY_BLOCKS = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([0, 0, 0, 0xff, 0xff])))

const startsWith =
  (headers: Record<string, string>, start: Buffer, chunk: Buffer): RequestListener =>
  (_, response) => {
    response.writeHead(200, headers).write(start)
    flood(response, chunk)
  }

const BODIES: [what: string, page: () => string][] = [
  ['a page without an end', () => pageWorld.site.page(endless(html))],
  ['a page without a type and an end', () => pageWorld.site.page(endless({}))],
  ['an image without an end', () => pageWorld.site.page(endless(png))],
  ['an archive without an end', () => pageWorld.site.page(endless({ 'content-type': 'application/zip' }))],
  ['an error without an end', () => pageWorld.site.page(endless(html, MIB, 500))],
  ['a redirect without an end', () => pageWorld.site.page(endless({ location: '/0' }, MIB, 302))],
  ['an image of a page without an end', () => pageWorld.site.page(og('image', pageWorld.site.page(endless(png))))],
  [
    'oEmbed without an end',
    () => pageWorld.site.page(oembedLink(pageWorld.site.page(endless({ 'content-type': 'application/json' })))),
  ],
  ['a refresh without an end', () => pageWorld.site.page(refresh(pageWorld.site.page(endless(html))))],
  [
    'a page that gzip makes small',
    () => pageWorld.site.page(endless({ ...html, 'content-encoding': 'gzip' }, gzipSync(zeros))),
  ],
  [
    'an image that gzip makes small',
    () => pageWorld.site.page(endless({ ...png, 'content-encoding': 'gzip' }, gzipSync(zeros))),
  ],
  [
    'oEmbed that gzip makes small',
    () =>
      pageWorld.site.page(oembedLink(pageWorld.site.page(endless({ 'content-encoding': 'gzip' }, gzipSync(zeros))))),
  ],
  [
    'a page that Brotli makes small',
    () =>
      pageWorld.site.page(
        endless(
          { ...html, 'content-encoding': 'br' },
          brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
        ),
      ),
  ],
  [
    'a page that deflate makes small',
    () => pageWorld.site.page(endless({ ...html, 'content-encoding': 'deflate' }, deflateSync(zeros))),
  ],
  ['a page that is packed twice', () => pageWorld.site.page(endless({ ...html, 'content-encoding': 'gzip, gzip' }))],
  [
    'a packed page whose name has no end',
    () => pageWorld.site.page(startsWith({ ...html, 'content-encoding': 'gzip' }, GZIP_NAME, MIB)),
  ],
  [
    'a packed page of nothing without an end',
    () =>
      pageWorld.site.page(
        startsWith({ ...html, 'content-encoding': 'deflate' }, Buffer.from([0x78, 0x9c]), EMPTY_BLOCKS),
      ),
  ],
  ['headers without an end', () => pageWorld.site.page(raw(OK, `x-${'y'.repeat(100)}: z\r\n`))],
  ['one header without an end', () => pageWorld.site.page(raw(`${OK}x: `, 'y'.repeat(1000)))],
  ['a status line without an end', () => pageWorld.site.page(raw('HTTP/1.1 200 ', 'y'.repeat(1000)))],
  [
    'interim answers without an end',
    () => pageWorld.site.page(raw('', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100))),
  ],
  [
    'a chunk size without an end',
    () => pageWorld.site.page(raw(`${OK}transfer-encoding: chunked\r\n\r\n`, '0'.repeat(1000))),
  ],
  [
    'a chunk extension without an end',
    () => pageWorld.site.page(raw(`${OK}transfer-encoding: chunked\r\n\r\n1;`, 'y'.repeat(1000))),
  ],
  [
    'trailers without an end',
    () => pageWorld.site.page(raw(`${OK}transfer-encoding: chunked\r\n\r\n0\r\n`, 'x: y\r\n')),
  ],
  [
    'a location of a megabyte',
    () => pageWorld.site.page(raw(`HTTP/1.1 302 Found\r\nlocation: /${'x'.repeat(1_000_000)}`, '\r\n\r\n')),
  ],
]

const BOUNDED: Attack[] = BODIES.map(([what, page]) => ({
  name: what,
  async attempt(world) {
    const before = pageWorld.site.sent()
    const open = pageWorld.site.open()
    const { status } = await previewPage(world, page())
    expect([200, 502]).toContain(status)
    await pollUntil('the connections are closed', () => pageWorld.site.open() <= open)
    expect(pageWorld.site.sent() - before).toBeLessThan(MAX_SENT)
  },
}))

const drip =
  (start: string, drop: string): RequestListener =>
  ({ socket }) => {
    socket.write(start)
    const dripping = setInterval(() => socket.write(drop), 50)
    socket.on('close', () => clearInterval(dripping))
  }

const SLOW: [what: string, page: () => string][] = [
  ['a page that never answers', () => pageWorld.site.page(() => {})],
  ['a page that drips', () => pageWorld.site.page(drip(`${OK}content-length: 100000\r\n\r\n`, 'x'))],
  ['headers that drip', () => pageWorld.site.page(drip(OK, 'x'))],
  ['a packed page that drips', () => pageWorld.site.page(drip(`${OK}content-encoding: gzip\r\n\r\n`, '\x1f'))],
  ['an image that drips', () => pageWorld.site.page(og('image', pageWorld.site.page(drip(`${OK}\r\n`, 'x'))))],
  ['oEmbed that never answers', () => pageWorld.site.page(oembedLink(pageWorld.site.page(() => {})))],
  ['a refresh that never answers', () => pageWorld.site.page(refresh(pageWorld.site.page(() => {})))],
  ['interim answers that drip', () => pageWorld.site.page(drip('', 'HTTP/1.1 103 Early Hints\r\n\r\n'))],
]

/** They all run into the timeout, so one row tries them at once, each as a user of its own. */
const SLOW_PAGES: Attack = {
  name: `slow pages: ${SLOW.map(([what]) => what).join(', ')}`,
  async attempt(world) {
    const open = pageWorld.site.open()
    const statuses = await Promise.all(
      SLOW.map(async ([what, page]) => {
        const { status } = await previewPage({ ...world, alice: await registerUser(world.url) }, page())
        return [what, [200, 502].includes(status)]
      }),
    )
    expect(statuses).toEqual(SLOW.map(([what]) => [what, true]))
    await pollUntil('the connections are closed', () => pageWorld.site.open() <= open)
  },
}

/** Pages whose answers are huge, have no end, or take for ever. */
export const PREVIEWS_OF_ENDLESS_PAGES = [...BOUNDED, SLOW_PAGES]
