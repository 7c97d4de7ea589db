import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { startVersitygw, type Versitygw } from '../harness/versitygw.ts'

/** Media in an S3-compatible store, also when the store dies. content-repository.test.ts runs on such a store too. */
let store: Versitygw
let hearth: TestHearth
let alice: TestUser
const MIB = 1024 ** 2
/** More than a quarter of the cache below: files of this size are read from the store each time. */
const LARGE = 40 * MIB

beforeAll(async () => {
  store = await startVersitygw()
  hearth = await startHearth({ config: { media: mediaConfig() } })
  alice = await registerUser(hearth.url)
})
afterAll(async () => {
  await hearth?.dispose()
  await store?.stop()
})

function mediaConfig(more: object = {}): object {
  return { s3: { ...store.config, cache_size: '64M', ...more } }
}

async function upload(body: Buffer): Promise<{ status: number; path: string; error: string | undefined }> {
  const response = await fetch(`${hearth.url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${alice.accessToken}` },
    body: body as NonNullable<RequestInit['body']>,
  })
  const { content_uri: uri = '', error } = (await response.json()) as { content_uri?: string; error?: string }
  return { status: response.status, path: uri.replace('mxc://', ''), error }
}

function download(path: string, { query = '', headers = {} } = {}): Promise<Response> {
  return fetch(`${hearth.url}/_matrix/client/v1/media/download/${path}${query}`, {
    headers: { Authorization: `Bearer ${alice.accessToken}`, ...headers },
    redirect: 'manual',
  })
}

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

function thumbnail(path: string, query = ''): Promise<Response> {
  return fetch(`${hearth.url}/_matrix/client/v1/media/thumbnail/${path}?width=32&height=32&method=crop${query}`, {
    headers: { Authorization: `Bearer ${alice.accessToken}` },
    redirect: 'manual',
  })
}

function image(background: string): Promise<Buffer> {
  return sharp({ create: { width: 500, height: 500, channels: 3, background } })
    .png()
    .toBuffer()
}

function cached(): string[] {
  return readdirSync(join(dirname(hearth.configFile), 'data', 'media-cache', 'objects'))
}

test('files of every size and their thumbnails are objects under the prefix, and nowhere else', async () => {
  const before = store.objects().length
  for (const size of [0, 1, 8 * MIB, 8 * MIB + 1, LARGE]) {
    const bytes = randomBytes(size)
    const { path } = await upload(bytes)
    expect((await bytesOf(await download(path))).equals(bytes)).toBe(true)
    if (size === 0) continue
    const part = await download(path, { headers: { Range: `bytes=${size - 1}-` } })
    expect([part.status, await bytesOf(part)]).toEqual([206, bytes.subarray(-1)])
  }
  const { path } = await upload(await image('red'))
  expect((await sharp(await bytesOf(await thumbnail(path))).metadata()).width).toBe(32)
  expect(store.objects().length).toBe(before + 7)
  expect(store.objects().every((name) => /^some\/folder\/[\w-]{32}$/.test(name))).toBe(true)
  expect(store.unfinishedParts()).toEqual([])
})

test('deleted files and their thumbnails are deleted in the bucket and in the cache', async () => {
  const before = [store.objects().length, cached().length]
  const { path } = await upload(await image('green'))
  expect((await thumbnail(path)).status).toBe(200)
  expect([store.objects().length, cached().length]).toEqual(before.map((count) => count + 2))
  const admin = await registerAdmin(hearth.url)
  expect((await admin.ask('DELETE', `/_synapse/admin/v1/media/${path}`)).status).toBe(200)
  expect([store.objects().length, cached().length]).toEqual(before)
  expect((await download(path)).status).toBe(404)
})

test('small files are read from the cache, also after a restart', async () => {
  const bytes = randomBytes(MIB)
  const { path } = await upload(bytes)
  await hearth.kill('SIGTERM')
  await hearth.restart()
  await store.kill()
  try {
    expect((await bytesOf(await download(path))).equals(bytes)).toBe(true)
    expect(await bytesOf(await download(path, { headers: { Range: 'bytes=3-5' } }))).toEqual(bytes.subarray(3, 6))
  } finally {
    await store.restart()
  }
})

test('the cache is bounded', async () => {
  for (let count = 0; count < 6; count++) await upload(randomBytes(15 * MIB))
  await pollUntil('the cache has evicted objects', () => cached().length <= 10)
})

test('a store that is away: 503 with the reason, a log line, and nothing half-written', async () => {
  const bytes = randomBytes(LARGE)
  const { path } = await upload(bytes)
  const before = store.objects()
  await store.kill()
  const away = { status: 503, error: expect.stringContaining('media store of this server cannot be reached') }
  expect(await upload(randomBytes(100))).toMatchObject(away)
  const refused = await download(path)
  expect({ status: refused.status, ...((await refused.json()) as object) }).toMatchObject(away)
  expect(hearth.output()).toContain('media store request failed')
  expect(hearth.output()).toContain('ECONNREFUSED')
  await store.restart()
  expect(store.objects()).toEqual(before)
  expect((await bytesOf(await download(path))).equals(bytes)).toBe(true)
  expect((await upload(randomBytes(100))).status).toBe(200)
})

test('a store that dies in the middle of an upload: the upload fails, and can be repeated', async () => {
  const bytes = randomBytes(LARGE)
  const objects = store.objects()
  const interrupted = upload(bytes)
  await pollUntil('parts arrive', () => store.unfinishedParts().length > 0)
  await store.kill()
  expect(await interrupted).toMatchObject({ status: 503, path: '' })
  await store.restart()
  expect(store.objects()).toEqual(objects)
  const { path } = await upload(bytes)
  expect((await bytesOf(await download(path))).equals(bytes)).toBe(true)
})

test('a store that dies in the middle of a download: the client notices, and the file is whole afterwards', async () => {
  const bytes = randomBytes(LARGE)
  const { path } = await upload(bytes)
  const response = await download(path)
  const reader = response.body!.getReader()
  await reader.read()
  await store.kill()
  const readAll = async () => {
    while (!(await reader.read()).done);
  }
  await expect(readAll()).rejects.toThrow()
  await store.restart()
  expect((await bytesOf(await download(path))).equals(bytes)).toBe(true)
})

test('the doctor tries the store, says why it does not work, and leaves nothing there', async () => {
  const program = join(import.meta.dirname, '../../bin/hearth')
  const examine = () => spawnSync(program, ['doctor', '--config', hearth.configFile]).stdout.toString()
  const objects = store.objects()
  expect(examine()).toContain('✓ Objects can be written, read and deleted in the bucket hearth-media')
  expect(store.objects()).toEqual(objects)
  await store.kill()
  expect(examine()).toContain('in the bucket hearth-media: connect ECONNREFUSED')
  await store.restart()
})

test('only clients that allow redirects are sent to the store, and only if that is configured', async () => {
  const bytes = randomBytes(100)
  const { path } = await upload(bytes)
  expect((await download(path, { query: '?allow_redirect=true' })).status).toBe(200)
  const other = await startHearth({ config: { media: mediaConfig({ presigned_redirects: true, prefix: '' }) } })
  const first = hearth
  try {
    hearth = other
    alice = await registerUser(hearth.url)
    const mine = (await upload(bytes)).path
    expect((await download(mine)).status).toBe(200)
    const redirect = await download(mine, { query: '?allow_redirect=true' })
    expect([redirect.status, redirect.headers.get('cache-control')]).toEqual([307, 'no-store'])
    const direct = await fetch(redirect.headers.get('location')!)
    expect(direct.headers.get('content-disposition')).toBe('attachment')
    expect(await bytesOf(direct)).toEqual(bytes)
    const picture = (await upload(await image('blue'))).path
    const small = await thumbnail(picture, '&allow_redirect=true')
    expect(small.status).toBe(307)
    expect((await sharp(await bytesOf(await fetch(small.headers.get('location')!))).metadata()).width).toBe(32)
  } finally {
    await other.dispose()
    hearth = first
    alice = await registerUser(hearth.url)
  }
})
