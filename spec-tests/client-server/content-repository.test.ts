import sharp from 'sharp'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#content-repository */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser

beforeAll(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
})

type Content = { body: Buffer | string; type?: string }

function send(
  user: TestUser,
  request: { method: string; path: string; content?: Content; headers?: Record<string, string> },
): Promise<Response> {
  const { method, path, content, headers } = request
  const type = content?.type
  return fetch(url + path, {
    method,
    headers: {
      Authorization: `Bearer ${user.accessToken}`,
      ...(type !== undefined && { 'Content-Type': type }),
      ...headers,
    },
    ...(content && { body: content.body as NonNullable<RequestInit['body']> }),
  })
}

function get(user: TestUser, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return send(user, { method: 'GET', path, headers })
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
async function json(response: Promise<Response>): Promise<any> {
  const answer = await response
  return { status: answer.status, ...((await answer.json()) as object) }
}

/** Uploads; gives `server/mediaId`. */
async function upload(user: TestUser, content: Content, filename?: string): Promise<string> {
  const query = filename === undefined ? '' : `?filename=${encodeURIComponent(filename)}`
  const { status, content_uri: uri } = await json(
    send(user, { method: 'POST', path: `/_matrix/media/v3/upload${query}`, content }),
  )
  expect([status, uri]).toEqual([200, expect.stringMatching(/^mxc:\/\/[^/]+\/[A-Za-z0-9_-]+$/)])
  return uri.slice('mxc://'.length)
}

async function reserve(user: TestUser): Promise<string> {
  return (await user.post('/_matrix/media/v1/create')).content_uri.slice('mxc://'.length)
}

const download = '/_matrix/client/v1/media/download'
const thumbnail = '/_matrix/client/v1/media/thumbnail'

describe('upload and download', () => {
  test('a file comes back as it was, to everybody with an account', async () => {
    const bytes = Buffer.from([0, 1, 2, 250, 251, 0xff, 13, 10])
    const path = await upload(alice, { body: bytes, type: 'application/x-something' }, 'name with spaces')
    const response = await get(bob, `${download}/${path}`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/x-something')
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="name with spaces"')
    expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes)
  })

  test('without type it is application/octet-stream', async () => {
    const path = await upload(alice, { body: Buffer.from('bytes') })
    expect((await get(alice, `${download}/${path}`)).headers.get('content-type')).toBe('application/octet-stream')
  })

  test('the file name of the path counts before that of the upload', async () => {
    const path = await upload(alice, { body: 'x', type: 'text/plain' }, 'ascii')
    const disposition = (await get(alice, `${download}/${path}/${encodeURIComponent('☕')}`)).headers.get(
      'content-disposition',
    )
    expect(disposition).toContain("filename*=UTF-8''%E2%98%95")
  })

  test.each([
    ['image/png', 'inline'],
    ['Text/Plain; charset=utf-8', 'inline'],
    ['text/html', 'attachment'],
    ['image/svg', 'attachment'],
    ['image/svg+xml', 'attachment'],
  ])('%s is %s', async (type, disposition) => {
    const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
      .png()
      .toBuffer()
    const response = await get(
      alice,
      `${download}/${await upload(alice, { body: type.includes('svg') ? '<svg/>' : png, type })}`,
    )
    expect(response.headers.get('content-disposition')).toMatch(new RegExp(`^${disposition}`))
    expect(response.headers.get('content-security-policy')).toContain('sandbox')
    expect(response.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
  })

  test('needs a token', async () => {
    const path = await upload(alice, { body: 'x' })
    for (const request of [`${download}/${path}`, `${thumbnail}/${path}`, '/_matrix/client/v1/media/config']) {
      const answer = await json(fetch(url + request))
      expect(answer).toMatchObject({ status: 401, errcode: 'M_MISSING_TOKEN' })
    }
  })

  test('an unknown file is not found', async () => {
    const [server] = (await upload(alice, { body: 'x' })).split('/')
    expect(await json(get(alice, `${download}/${server}/doesnotexist`))).toMatchObject({
      status: 404,
      errcode: 'M_NOT_FOUND',
    })
    expect((await get(alice, `${download}/${server}/..%2F..%2Fetc%2Fpasswd`)).status).toBeGreaterThanOrEqual(400)
  })

  test('the configuration tells the largest size, and it holds', async () => {
    const { 'm.upload.size': size } = await alice.get('/_matrix/client/v1/media/config')
    expect(size).toBeGreaterThan(0)
    expect(await alice.get('/_matrix/media/v3/config')).toMatchObject({ 'm.upload.size': size })
    const content = { body: Buffer.alloc(size + 1) }
    const answer = await json(send(alice, { method: 'POST', path: '/_matrix/media/v3/upload', content }))
    expect(answer).toMatchObject({ status: 413, errcode: 'M_TOO_LARGE' })
  })

  test('a part of a file', async () => {
    const path = await upload(alice, { body: '0123456789' })
    const response = await get(alice, `${download}/${path}`, { Range: 'bytes=3-5' })
    expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([
      206,
      'bytes 3-5/10',
      '345',
    ])
  })
})

describe('asynchronous upload', () => {
  const put = (user: TestUser, path: string, body = 'content') =>
    json(send(user, { method: 'PUT', path: `/_matrix/media/v3/upload/${path}`, content: { body, type: 'text/plain' } }))

  test('a reserved id waits for its file', async () => {
    const { content_uri: uri, unused_expires_at: expires } = await alice.post('/_matrix/media/v1/create')
    expect(expires).toBeGreaterThan(Date.now())
    const path = uri.slice('mxc://'.length)
    const early = await json(get(bob, `${download}/${path}?timeout_ms=0`))
    expect(early).toMatchObject({ status: 504, errcode: 'M_NOT_YET_UPLOADED' })
    const waiting = get(bob, `${download}/${path}?timeout_ms=20000`)
    expect(await put(alice, path)).toEqual({ status: 200 })
    expect(await (await waiting).text()).toBe('content')
  })

  test('takes one file', async () => {
    const path = await reserve(alice)
    const answers = await Promise.all(['1', '2', '3'].map((body) => put(alice, path, body)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
    expect(await put(alice, path)).toMatchObject({ status: 409, errcode: 'M_CANNOT_OVERWRITE_MEDIA' })
    const winner = answers.findIndex(({ status }) => status === 200) + 1
    expect(await (await get(alice, `${download}/${path}`)).text()).toBe(String(winner))
  })

  test('is for the one who reserved it', async () => {
    const path = await reserve(alice)
    expect(await put(bob, path)).toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
    expect(await put(alice, path)).toEqual({ status: 200 })
    expect(await put(alice, `${path.split('/')[0]}/neverreserved`)).toMatchObject({
      status: 404,
      errcode: 'M_NOT_FOUND',
    })
  })

  test('only so many may be pending', async () => {
    const carol = await registerUser(url)
    let answer: { status: number; errcode?: string }
    let made = 0
    do answer = await json(send(carol, { method: 'POST', path: '/_matrix/media/v1/create' }))
    while (answer.status === 200 && ++made < 1000)
    expect(answer).toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
  })
})

describe('thumbnails', () => {
  const size = async (response: Response) => {
    const { width, height } = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
    return { width, height }
  }
  const image = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: 'teal' } })
      .png()
      .toBuffer()

  test('crop has the shape asked for, scale that of the image; neither is smaller than asked nor larger than the image', async () => {
    const path = await upload(alice, { body: await image(1000, 500), type: 'image/png' })
    const crop = await get(bob, `${thumbnail}/${path}?width=96&height=96&method=crop`)
    expect([crop.status, crop.headers.get('content-type')]).toEqual([200, 'image/png'])
    expect(crop.headers.get('content-disposition')).toMatch(/^inline/)
    expect(await size(crop)).toEqual({ width: 96, height: 96 })
    const scaled = await size(await get(bob, `${thumbnail}/${path}?width=320&height=240&method=scale`))
    expect(scaled).toEqual({ width: 320, height: 160 })
    expect(await size(await get(bob, `${thumbnail}/${path}?width=5000&height=5000`))).toEqual({
      width: 1000,
      height: 500,
    })
  })

  test('animated ones move only when asked to', async () => {
    const pixels = Buffer.concat([0, 1, 2].map((frame) => Buffer.alloc(200 * 100 * 3, frame * 80)))
    const gif = await sharp(pixels, { raw: { width: 200, height: 300, channels: 3, pageHeight: 100 } })
      .gif()
      .toBuffer()
    const path = await upload(alice, { body: gif, type: 'image/gif' })
    const framesOf = async (animated: boolean) => {
      const response = await get(alice, `${thumbnail}/${path}?width=32&height=32&method=crop&animated=${animated}`)
      return (await sharp(Buffer.from(await response.arrayBuffer()), { animated: true }).metadata()).pages ?? 1
    }
    expect(await Promise.all([framesOf(true), framesOf(false)])).toEqual([3, 1])
  })

  test('invalid requests', async () => {
    const path = await upload(alice, { body: 'no image', type: 'image/png' })
    for (const query of ['', '?width=32', '?width=-1&height=32', '?width=x&height=32', '?width=32&height=32']) {
      expect((await json(get(alice, `${thumbnail}/${path}${query}`))).status).toBe(400)
    }
  })
})
