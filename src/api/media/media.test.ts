import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { parse as parseDisposition } from 'content-disposition'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { uploadMedia } from '../../services/media/upload-media.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createHttpApp } from '../http/http-app.ts'
import { mediaEndpoints } from './media-endpoints.ts'

/** The unauthenticated downloads behave like the others, and need no account. */
let app: TestApp
let server: Server
let url: string
beforeAll(async () => {
  app = await createTestApp({ config: { media: { unauthenticated_downloads: true } } })
  const http = createHttpApp(app, { endpoints: mediaEndpoints, trustedProxies: 0 })
  server = createServer(http.callback()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/_matrix/media/v3`
})
afterAll(async () => {
  server.close()
  server.closeAllConnections()
  await app.close()
})

async function upload(content: Buffer | string, contentType = 'text/plain', filename?: string): Promise<string> {
  const source = Readable.from([Buffer.from(content)])
  const name = await uploadMedia(app, { uploader: '@a:hearth.test' as UserId, contentType, filename, source })
  return `${name.serverName}/${name.mediaId}`
}

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/${path}`, init)
}

async function errcodeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { errcode: unknown }).errcode
}

function dispositionOf(response: Response): { type: string; filename: string | undefined } {
  const { type, parameters } = parseDisposition(response.headers.get('content-disposition')!)
  return { type, filename: parameters.filename }
}

test('a download is harmless and may be kept', async () => {
  const response = await get(`download/${await upload('<script>', 'text/html')}`)
  expect(await response.text()).toBe('<script>')
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/html',
    'content-length': '8',
    'content-disposition': 'attachment',
    'content-security-policy': expect.stringMatching(/^sandbox; default-src 'none'; script-src 'none';/),
    'cross-origin-resource-policy': 'cross-origin',
    'x-content-type-options': 'nosniff',
    'cache-control': expect.stringContaining('immutable'),
    'access-control-allow-origin': '*',
  })
})

test.each([
  ['plain'],
  ['name with spaces'],
  ['name;with;semicolons'],
  ['"quoted"'],
  ['☕.txt'],
  ['é.txt'],
  ['100%25.txt'],
])('the file name %s comes back, from the upload and from the path', async (filename) => {
  const path = await upload('x', 'text/plain', filename)
  expect(dispositionOf(await get(`download/${path}`))).toEqual({ type: 'inline', filename })
  const unnamed = await upload('x')
  expect(dispositionOf(await get(`download/${unnamed}`))).toEqual({ type: 'inline', filename: undefined })
  expect(dispositionOf(await get(`download/${unnamed}/${encodeURIComponent(filename)}`))).toEqual({
    type: 'inline',
    filename,
  })
})

test.each(['%ff%fe.txt', '%00', 'a%0d%0aSet-Cookie:%20a=b', '..%2f..%2fetc%2fpasswd', '%ed%a0%80'])(
  'the odd file name %s does no harm',
  async (name) => {
    const response = await get(`download/${await upload('x')}/${name}`)
    expect(response.status).toBe(200)
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(dispositionOf(response).filename ?? '').not.toMatch(/[/\\]/)
  },
)

test.each([
  '..%2f..%2fetc/passwd',
  'hearth.test/..%2f..%2fobjects',
  'hearth.test/a%00b',
  'hearth.test/a.b',
  'not%20a%20server/abc',
])('the path %s reaches nothing', async (path) => {
  for (const kind of ['download', 'thumbnail']) {
    const response = await get(`${kind}/${path}?width=32&height=32`)
    expect([400, 404]).toContain(response.status)
    expect(await response.json()).toHaveProperty('errcode')
  }
})

test('parts of a file', async () => {
  const path = `download/${await upload('0123456789')}`
  const part = await get(path, { headers: { Range: 'bytes=2-4' } })
  expect([
    part.status,
    part.headers.get('content-range'),
    part.headers.get('content-length'),
    await part.text(),
  ]).toEqual([206, 'bytes 2-4/10', '3', '234'])
  const beyond = await get(path, { headers: { Range: 'bytes=10-' } })
  expect([beyond.status, beyond.headers.get('content-range'), await beyond.text()]).toEqual([416, 'bytes */10', ''])
  const several = await get(path, { headers: { Range: 'bytes=0-1,3-4' } })
  expect([several.status, await several.text()]).toEqual([200, '0123456789'])
  const other = await get(path, { headers: { Range: 'bytes=2-4', 'If-Range': '"another"' } })
  expect([other.status, await other.text()]).toEqual([200, '0123456789'])
  const empty = await get(`download/${await upload('')}`)
  expect([empty.status, await empty.text()]).toEqual([200, ''])
})

test('a file that the client has is not sent again, and HEAD gets no body', async () => {
  const path = `download/${await upload('content')}`
  const head = await get(path, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '7', ''])
  const etag = head.headers.get('etag')!
  const known = await get(path, { headers: { 'If-None-Match': etag } })
  expect([known.status, known.headers.get('etag'), await known.text()]).toEqual([304, etag, ''])
  expect((await get(path, { headers: { 'If-None-Match': '"another"' } })).status).toBe(200)
})

test('a client that leaves early is no fault', async () => {
  const path = `download/${await upload(Buffer.alloc(20_000_000), 'application/octet-stream')}`
  await new Promise<void>((resolve) => {
    const asking = request(`${url}/${path}`, (response) => {
      response.once('data', () => asking.destroy())
      response.on('error', () => resolve())
    }).end()
  })
  expect((await get(path, { headers: { Range: 'bytes=0-0' } })).status).toBe(206)
})

test('a file that the store has lost is not found', async () => {
  const path = await upload('to be lost')
  for (const { object_key } of await app.database.sql.selectFrom('media_files').select('object_key').execute()) {
    await app.media.objects.delete(object_key)
  }
  expect((await get(`download/${path}`)).status).toBe(404)
})

test('thumbnails', async () => {
  const image = await sharp({ create: { width: 300, height: 200, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
  const path = await upload(image, 'image/png', 'secret name.png')
  const response = await get(`thumbnail/${path}?width=32&height=32&method=crop`)
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png'])
  expect(dispositionOf(response)).toEqual({ type: 'inline', filename: 'thumbnail.png' })
  const bytes = Buffer.from(await response.arrayBuffer())
  expect(await sharp(bytes).metadata()).toMatchObject({ format: 'png', width: 32, height: 32 })
  const errors = await Promise.all(
    [
      '',
      '?width=32',
      '?width=0&height=32',
      '?width=-1&height=32',
      '?width=1.5&height=3',
      '?width=32&height=32&method=warp',
    ].map(async (query) => (await get(`thumbnail/${path}${query}`)).status),
  )
  expect(errors).toEqual([400, 400, 400, 400, 400, 400])
  const none = await get(`thumbnail/${await upload('text')}?width=32&height=32`)
  expect([none.status, await errcodeOf(none)]).toEqual([400, 'M_UNKNOWN'])
})

test('what others keep to themselves', async () => {
  const path = await upload('private')
  app.config.media.unauthenticated_downloads = false
  try {
    for (const request of [`download/${path}`, `download/${path}/name`, `thumbnail/${path}?width=32&height=32`]) {
      const response = await get(request)
      expect([response.status, await errcodeOf(response)]).toEqual([404, 'M_NOT_FOUND'])
    }
  } finally {
    app.config.media.unauthenticated_downloads = true
  }
  for (const [method, path] of [
    ['POST', 'upload'],
    ['PUT', 'upload/hearth.test/abc'],
    ['GET', 'config'],
  ] as const) {
    expect((await get(path, { method })).status).toBe(401)
  }
})
