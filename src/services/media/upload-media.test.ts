import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createMediaTestApp } from '../../testing/media-app.ts'
import { findLocalMedia } from './find-local-media.ts'
import { openFile } from './open-file.ts'
import { reserveMedia } from './reserve-media.ts'
import { uploadMedia, uploadReservedMedia } from './upload-media.ts'

/** Each test has its own two, for reservations are counted. */
let alice: UserId
let bob: UserId
let tests = 0
beforeEach(() => {
  tests++
  alice = `@alice${tests}:hearth.test` as UserId
  bob = `@bob${tests}:hearth.test` as UserId
})
const now = () => ({ timeoutMs: 0, signal: new AbortController().signal })

let world: Awaited<ReturnType<typeof createMediaTestApp>>
beforeAll(async () => {
  world = await createMediaTestApp({ max_upload_size: 1000, max_pending_uploads: 2, async_upload_expiry: 60_000 })
})
afterAll(() => world.close())

function upload(content: string, more: { uploader?: UserId; contentType?: string; filename?: string } = {}) {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(content)
  }
  return { uploader: alice, contentType: 'text/plain', filename: undefined, ...more, source: source() }
}

async function contentOf(name: Parameters<typeof findLocalMedia>[1]): Promise<string> {
  const { file } = await findLocalMedia(world.app, name, now())
  return text(await openFile(world.app, file.objectKey))
}

async function unclaimed(): Promise<number> {
  return (await world.app.database.sql.selectFrom('unclaimed_objects').selectAll().execute()).length
}

test('a file comes back with its type and name', async () => {
  const name = await uploadMedia(world.app, upload('hello', { filename: '../🐔.txt' }))
  expect(name.serverName).toBe('hearth.test')
  expect(await findLocalMedia(world.app, name, now())).toMatchObject({
    contentType: 'text/plain',
    filename: '🐔.txt',
    file: { size: 5 },
  })
  expect(await contentOf(name)).toBe('hello')
  expect(await unclaimed()).toBe(0)
})

test('the same content is stored once, even at the same time, and each name keeps its own type', async () => {
  const before = world.files().length
  const names = await Promise.all(
    ['text/plain', 'text/csv'].map((contentType) => uploadMedia(world.app, upload('same', { contentType }))),
  )
  names.push(await uploadMedia(world.app, upload('same', { uploader: bob, contentType: 'text/css' })))
  expect(new Set(names.map(({ mediaId }) => mediaId)).size).toBe(3)
  const found = await Promise.all(names.map((name) => findLocalMedia(world.app, name, now())))
  expect(found.map(({ contentType }) => contentType)).toEqual(['text/plain', 'text/csv', 'text/css'])
  expect(new Set(found.map(({ file }) => file.objectKey)).size).toBe(1)
  expect(world.files()).toHaveLength(before + 1)
  expect(await unclaimed()).toBe(0)
})

test('a file over the limit leaves nothing behind', async () => {
  const before = world.files()
  await expect(uploadMedia(world.app, upload('x'.repeat(1001)))).rejects.toMatchObject({
    status: 413,
    errcode: 'M_TOO_LARGE',
  })
  expect(world.files()).toEqual(before)
  expect(await world.app.database.sql.selectFrom('media').selectAll().where('uploader', '=', alice).execute()).toEqual(
    [],
  )
})

test('HTML that claims to be an image is not served as one', async () => {
  const name = await uploadMedia(
    world.app,
    upload('<html><script>alert(1)</script></html>', { contentType: 'image/png' }),
  )
  expect((await findLocalMedia(world.app, name, now())).contentType).toBe('application/octet-stream')
})

test('a reserved name takes one file, of its owner', async () => {
  const { name, expiresTs } = await reserveMedia(world.app, alice)
  expect(expiresTs).toBe(world.clock.now() + 60_000)
  await expect(uploadReservedMedia(world.app, name, upload('b', { uploader: bob }))).rejects.toMatchObject({
    errcode: 'M_FORBIDDEN',
  })
  await expect(findLocalMedia(world.app, name, now())).rejects.toMatchObject({
    status: 504,
    errcode: 'M_NOT_YET_UPLOADED',
  })
  await uploadReservedMedia(world.app, name, upload('mine'))
  expect(await contentOf(name)).toBe('mine')
  const again = { status: 409, errcode: 'M_CANNOT_OVERWRITE_MEDIA' }
  await expect(uploadReservedMedia(world.app, name, upload('other'))).rejects.toMatchObject(again)
  expect(await contentOf(name)).toBe('mine')
})

test('of uploads to one name at the same time one wins', async () => {
  const { name } = await reserveMedia(world.app, alice)
  const tries = await Promise.allSettled(
    ['1', '2', '3', '4'].map((content) => uploadReservedMedia(world.app, name, upload(content))),
  )
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const winner = String(tries.findIndex(({ status }) => status === 'fulfilled') + 1)
  expect(await contentOf(name)).toBe(winner)
  for (const result of tries) {
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ errcode: 'M_CANNOT_OVERWRITE_MEDIA' })
  }
})

test('reservations expire, also while the file is on its way', async () => {
  const [first, second] = [await reserveMedia(world.app, alice), await reserveMedia(world.app, alice)]
  async function* slow(): AsyncGenerator<Buffer> {
    world.clock.advance(60_000)
    yield Buffer.from('late')
  }
  const gone = { status: 404, errcode: 'M_NOT_FOUND' }
  await expect(uploadReservedMedia(world.app, first.name, { ...upload(''), source: slow() })).rejects.toMatchObject(
    gone,
  )
  await expect(uploadReservedMedia(world.app, second.name, upload('later'))).rejects.toMatchObject(gone)
  await expect(findLocalMedia(world.app, second.name, now())).rejects.toMatchObject(gone)
})

test('nobody reserves more than the limit, even at the same time; finished and expired ones do not count', async () => {
  const tries = await Promise.allSettled([1, 2, 3, 4, 5].map(() => reserveMedia(world.app, alice)))
  const made = tries.flatMap((result) => (result.status === 'fulfilled' ? [result.value.name] : []))
  expect(made).toHaveLength(2)
  const full = { status: 429, errcode: 'M_LIMIT_EXCEEDED' }
  await expect(reserveMedia(world.app, alice)).rejects.toMatchObject(full)
  await reserveMedia(world.app, bob)
  await uploadReservedMedia(world.app, made[0]!, upload('done'))
  await reserveMedia(world.app, alice)
  await expect(reserveMedia(world.app, alice)).rejects.toMatchObject(full)
  world.clock.advance(60_000)
  await reserveMedia(world.app, alice)
})

test('who asks for a file before it is there gets it once it is', async () => {
  const { name } = await reserveMedia(world.app, alice)
  const waiting = findLocalMedia(world.app, name, { timeoutMs: 20_000, signal: new AbortController().signal })
  await uploadReservedMedia(world.app, name, upload('at last'))
  expect((await waiting).file.size).toBe(7)
})

test('waiting ends when the client leaves', async () => {
  const { name } = await reserveMedia(world.app, alice)
  const gone = new AbortController()
  const waiting = findLocalMedia(world.app, name, { timeoutMs: 20_000, signal: gone.signal })
  gone.abort()
  await expect(waiting).rejects.toMatchObject({ errcode: 'M_NOT_YET_UPLOADED' })
})

test('other servers and unknown names have nothing', async () => {
  const unknown = { serverName: world.app.serverName, mediaId: 'unknown' }
  const remote = { serverName: 'elsewhere.test' as typeof unknown.serverName, mediaId: 'some' }
  for (const name of [unknown, remote]) {
    await expect(findLocalMedia(world.app, name, now())).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    await expect(uploadReservedMedia(world.app, name, upload('x'))).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  }
})
