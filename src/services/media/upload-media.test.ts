import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { findLocalMedia } from './find-local-media.ts'
import { openFile } from './open-file.ts'
import { reserveMedia } from './reserve-media.ts'
import { uploadMedia, uploadReservedMedia } from './upload-media.ts'

/** Each test has its own two users, since reservations are counted. */
let alice: UserId
let bob: UserId
let tests = 0
beforeEach(() => {
  tests++
  alice = `@alice${tests}:hearth.test` as UserId
  bob = `@bob${tests}:hearth.test` as UserId
})
const now = () => ({ timeoutMs: 0, signal: new AbortController().signal })

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({
    config: { media: { max_upload_size: 1000, max_pending_uploads: 2, async_upload_expiry: '1m' } },
  })
})
afterAll(() => app.close())

function upload(content: string, more: { uploader?: UserId; contentType?: string; filename?: string } = {}) {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(content)
  }
  return { uploader: alice, contentType: 'text/plain', filename: undefined, ...more, source: source() }
}

async function contentOf(name: Parameters<typeof findLocalMedia>[1]): Promise<string> {
  const { file } = await findLocalMedia(app, name, now())
  return text(await openFile(app, file.objectKey))
}

async function countPendingObjects(): Promise<number> {
  return (await app.database.sql.selectFrom('pending_objects').selectAll().execute()).length
}

test('a file comes back with its type and name', async () => {
  const name = await uploadMedia(app, upload('hello', { filename: '../🐔.txt' }))
  expect(name.serverName).toBe('hearth.test')
  expect(await findLocalMedia(app, name, now())).toMatchObject({
    contentType: 'text/plain',
    filename: '🐔.txt',
    file: { size: 5 },
  })
  expect(await contentOf(name)).toBe('hello')
  expect(await countPendingObjects()).toBe(0)
})

test('the same content is stored once, even at the same time, and each name keeps its own type', async () => {
  const before = storedFiles(app).length
  const names = await Promise.all(
    ['text/plain', 'text/csv'].map((contentType) => uploadMedia(app, upload('same', { contentType }))),
  )
  names.push(await uploadMedia(app, upload('same', { uploader: bob, contentType: 'text/css' })))
  expect(new Set(names.map(({ mediaId }) => mediaId)).size).toBe(3)
  const found = await Promise.all(names.map((name) => findLocalMedia(app, name, now())))
  expect(found.map(({ contentType }) => contentType)).toEqual(['text/plain', 'text/csv', 'text/css'])
  expect(new Set(found.map(({ file }) => file.objectKey)).size).toBe(1)
  expect(storedFiles(app)).toHaveLength(before + 1)
  expect(await countPendingObjects()).toBe(0)
})

test('a file over the limit leaves nothing behind', async () => {
  const before = storedFiles(app)
  await expect(uploadMedia(app, upload('x'.repeat(1001)))).rejects.toMatchObject({
    status: 413,
    errcode: 'M_TOO_LARGE',
  })
  expect(storedFiles(app)).toEqual(before)
  expect(await app.database.sql.selectFrom('media').selectAll().where('uploader', '=', alice).execute()).toEqual([])
})

test('HTML that claims to be an image is not served as one', async () => {
  const name = await uploadMedia(app, upload('<html><script>alert(1)</script></html>', { contentType: 'image/png' }))
  expect((await findLocalMedia(app, name, now())).contentType).toBe('application/octet-stream')
})

test('a reserved name takes one file, of its owner', async () => {
  const { name, expiresTs } = await reserveMedia(app, alice)
  expect(expiresTs).toBe(app.clock.now() + 60_000)
  await expect(uploadReservedMedia(app, name, upload('b', { uploader: bob }))).rejects.toMatchObject({
    errcode: 'M_FORBIDDEN',
  })
  await expect(findLocalMedia(app, name, now())).rejects.toMatchObject({
    status: 504,
    errcode: 'M_NOT_YET_UPLOADED',
  })
  await uploadReservedMedia(app, name, upload('mine'))
  expect(await contentOf(name)).toBe('mine')
  const again = { status: 409, errcode: 'M_CANNOT_OVERWRITE_MEDIA' }
  await expect(uploadReservedMedia(app, name, upload('other'))).rejects.toMatchObject(again)
  expect(await contentOf(name)).toBe('mine')
})

test('of uploads to one name at the same time one wins', async () => {
  const { name } = await reserveMedia(app, alice)
  const tries = await Promise.allSettled(
    ['1', '2', '3', '4'].map((content) => uploadReservedMedia(app, name, upload(content))),
  )
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const winner = String(tries.findIndex(({ status }) => status === 'fulfilled') + 1)
  expect(await contentOf(name)).toBe(winner)
  for (const result of tries) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ errcode: 'M_CANNOT_OVERWRITE_MEDIA' })
  }
})

test('reservations expire, also while the file is on its way', async () => {
  const [first, second] = [await reserveMedia(app, alice), await reserveMedia(app, alice)]
  async function* slow(): AsyncGenerator<Buffer> {
    app.clock.advance(60_000)
    yield Buffer.from('late')
  }
  const gone = { status: 404, errcode: 'M_NOT_FOUND' }
  await expect(uploadReservedMedia(app, first.name, { ...upload(''), source: slow() })).rejects.toMatchObject(gone)
  await expect(uploadReservedMedia(app, second.name, upload('later'))).rejects.toMatchObject(gone)
  await expect(findLocalMedia(app, second.name, now())).rejects.toMatchObject(gone)
})

test('a user cannot reserve more than the limit, even concurrently; finished and expired ones do not count', async () => {
  const tries = await Promise.allSettled([1, 2, 3, 4, 5].map(() => reserveMedia(app, alice)))
  const made = tries.flatMap((result) => (result.status === 'fulfilled' ? [result.value.name] : []))
  expect(made).toHaveLength(2)
  const full = { status: 429, errcode: 'M_LIMIT_EXCEEDED' }
  await expect(reserveMedia(app, alice)).rejects.toMatchObject(full)
  await reserveMedia(app, bob)
  await uploadReservedMedia(app, made[0]!, upload('done'))
  await reserveMedia(app, alice)
  await expect(reserveMedia(app, alice)).rejects.toMatchObject(full)
  app.clock.advance(60_000)
  await reserveMedia(app, alice)
})

test('a request for a file that is not uploaded yet gets it once it is', async () => {
  const { name } = await reserveMedia(app, alice)
  const waiting = findLocalMedia(app, name, { timeoutMs: 20_000, signal: new AbortController().signal })
  await uploadReservedMedia(app, name, upload('at last'))
  expect((await waiting).file.size).toBe(7)
})

test('waiting ends when the client leaves', async () => {
  const { name } = await reserveMedia(app, alice)
  const gone = new AbortController()
  const waiting = findLocalMedia(app, name, { timeoutMs: 20_000, signal: gone.signal })
  gone.abort()
  await expect(waiting).rejects.toMatchObject({ errcode: 'M_NOT_YET_UPLOADED' })
})

test('other servers and unknown names have nothing', async () => {
  const unknown = { serverName: app.serverName, mediaId: 'unknown' }
  const remote = { serverName: 'elsewhere.test' as typeof unknown.serverName, mediaId: 'some' }
  for (const name of [unknown, remote]) {
    await expect(findLocalMedia(app, name, now())).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await expect(uploadReservedMedia(app, name, upload('x'))).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  }
})
