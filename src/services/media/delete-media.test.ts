import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { MediaName } from '../../core/content-uri.ts'
import { contentUriOf } from '../../core/content-uri.ts'
import type { ServerName, UserId } from '../../core/ids.ts'
import { insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { createUser } from '../users/create-user.ts'
import { isStoreUsable } from './check-media-store.ts'
import { deleteOldCopies, deleteOldUploads } from './delete-media.ts'
import { findKeptMedia, findLocalMedia } from './find-local-media.ts'
import { quarantineServer } from './moderation/media-rules.ts'
import { protectMedia, quarantineChanges, quarantineMedia, unquarantineMedia } from './moderation/quarantine-media.ts'
import { unquarantineServer } from './moderation/resumable-work.ts'
import { storeFile } from './store-file.ts'
import { sweepMedia } from './sweep-media.ts'
import { thumbnailMedia } from './thumbnail-media.ts'
import { uploadMedia } from './upload-media.ts'

const DAY_MS = 24 * 3_600_000
const admin = '@admin:hearth.test' as UserId
const elsewhere = 'elsewhere.test' as ServerName
const now = { timeoutMs: 0, signal: new AbortController().signal }

let app: TestApp
let alice: UserId
beforeAll(async () => {
  app = await createTestApp({ config: { media: { local_lifetime: '10d', remote_cache_lifetime: '10d' } } })
  await isStoreUsable(app, 'disk')
  alice = await createUser(app, { localpart: 'alice', password: 'correct horse', admin: false })
})
/** The mark of the store, by which processes recognise it, is a file too. */
const files = () => storedFiles(app).length - 1
beforeEach(async () => {
  for (const table of ['media', 'media_content_rules', 'media_quarantined_servers'] as const)
    await app.database.sql.deleteFrom(table).execute()
  await sweepMedia(app)
})
afterAll(() => app.close())

async function* once(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

function upload(content: string | Buffer): Promise<MediaName> {
  return uploadMedia(app, { uploader: alice, contentType: undefined, filename: undefined, source: once(content) })
}

async function copy(mediaId: string, content: string): Promise<MediaName> {
  const name = { serverName: elsewhere, mediaId }
  await storeFile(app, once(content), (tx, sha256) =>
    insertRemoteMedia(tx, { ...name, contentType: 'text/plain', filename: null, sha256, now: app.clock.now() }),
  )
  return name
}

const isServed = (name: MediaName) =>
  findKeptMedia(app, name).then(
    (media) => media !== undefined,
    () => false,
  )

test('old uploads are deleted with files and thumbnails; avatars, protected and quarantined ones stay', async () => {
  const png = await sharp({ create: { width: 90, height: 90, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  const [avatar, guarded, banned, small] = [
    await upload('an avatar'),
    await upload('guarded'),
    await upload('banned'),
    await upload('s'),
  ]
  await app.database.sql
    .insertInto('profiles')
    .values({ user_id: alice, avatar_url: contentUriOf(avatar), displayname: null, fields: '{}' })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet({ avatar_url: contentUriOf(avatar) }))
    .execute()
  await protectMedia(app, guarded.mediaId, true)
  await quarantineMedia(app, banned, admin)
  const kept = files()
  const picture = await upload(png)
  const { file } = await findLocalMedia(app, picture, now)
  await thumbnailMedia(app, file, { width: 32, height: 32, method: 'crop', animated: false })
  expect(files()).toBe(kept + 2)
  app.clock.advance(DAY_MS)
  const young = await upload('young')
  const before = app.clock.now() - 1
  const command = { before, sizeAbove: 1, keepAvatars: true }
  expect(await deleteOldUploads(app, command)).toEqual([picture.mediaId])
  expect(files()).toBe(kept + 1)
  expect(await deleteOldUploads(app, { ...command, sizeAbove: 0 })).toEqual([small.mediaId])
  expect(await deleteOldUploads(app, { ...command, keepAvatars: false })).toEqual([avatar.mediaId])
  for (const [name, served] of [
    [guarded, true],
    [banned, false],
    [young, true],
    [picture, false],
  ] as const)
    expect(await isServed(name)).toBe(served)
})

test('uploads without a request for their lifetime are swept; a request keeps them, without a write each time', async () => {
  const [asked, forgotten] = [await upload('asked'), await upload('forgotten')]
  const accessOf = async () =>
    (
      await app.database.sql
        .selectFrom('media')
        .select('accessed_ts')
        .where('media_id', '=', asked.mediaId)
        .executeTakeFirstOrThrow()
    ).accessed_ts
  const uploaded = await accessOf()
  app.clock.advance(DAY_MS - 1)
  await findLocalMedia(app, asked, now)
  expect(await accessOf()).toBe(uploaded)
  app.clock.advance(5 * DAY_MS)
  await findLocalMedia(app, asked, now)
  expect(await accessOf()).toBe(app.clock.now())
  app.clock.advance(5 * DAY_MS)
  await sweepMedia(app)
  expect([await isServed(asked), await isServed(forgotten)]).toEqual([true, false])
  expect(files()).toBe(1)
})

test('old copies are deleted, but not quarantined ones', async () => {
  const [old, banned] = [await copy('old', 'old'), await copy('banned', 'bad')]
  await quarantineMedia(app, banned, admin)
  await quarantineMedia(app, { serverName: elsewhere, mediaId: 'unfetched' }, admin)
  app.clock.advance(DAY_MS)
  const young = await copy('young', 'young')
  expect(await deleteOldCopies(app, app.clock.now())).toBe(1)
  expect([await isServed(old), await isServed(young)]).toEqual([false, true])
  expect(files()).toBe(2)
  const rows = await app.database.sql.selectFrom('media').select('media_id').execute()
  expect(rows.map(({ media_id }) => media_id).toSorted()).toEqual(['banned', 'unfetched', 'young'])
})

test('a quarantined server: its media are not served, and the feed has them', async () => {
  const [first, second, own] = [await copy('first', 'shared'), await copy('second', 'two'), await upload('shared')]
  const { nextBatch: start } = await quarantineChanges(app, { from: 0, limit: 100 })
  expect(await quarantineServer(app, elsewhere, { by: admin, reason: null })).toBe(2)
  expect([await isServed(first), await isServed(second), await isServed(own)]).toEqual([false, false, true])
  await unquarantineServer(app, elsewhere)
  expect(await isServed(first)).toBe(true)
  const { changes } = await quarantineChanges(app, { from: start, limit: 100 })
  expect(changes.map(({ mediaId, isQuarantined }) => [mediaId, isQuarantined])).toEqual([
    ['first', true],
    ['second', true],
    ['first', false],
    ['second', false],
  ])
})

test('the feed says that media are released only when no other rule blocks them', async () => {
  const both = await copy('both', 'blocked twice')
  await quarantineMedia(app, both, admin)
  await quarantineServer(app, elsewhere, { by: admin, reason: null })
  const { nextBatch: start } = await quarantineChanges(app, { from: 0, limit: 1000 })
  const changes = async () =>
    (await quarantineChanges(app, { from: start, limit: 100 })).changes.map(({ isQuarantined }) => isQuarantined)
  await unquarantineServer(app, elsewhere)
  expect([await changes(), await isServed(both)]).toEqual([[], false])
  await unquarantineMedia(app, both)
  expect([await changes(), await isServed(both)]).toEqual([[false], true])
})

test('the feed has media that are served because they are protected, and those that are no longer', async () => {
  const own = await upload('protected later')
  await quarantineMedia(app, own, admin)
  const { nextBatch: start } = await quarantineChanges(app, { from: 0, limit: 1000 })
  for (const isProtected of [true, true, false]) await protectMedia(app, own.mediaId, isProtected)
  const { changes } = await quarantineChanges(app, { from: start, limit: 100 })
  expect(changes.map(({ mediaId, isQuarantined }) => [mediaId, isQuarantined])).toEqual([
    [own.mediaId, false],
    [own.mediaId, true],
  ])
})
