import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { findMedia } from '../lookup/find-media.ts'
import { removeContentRule } from './moderation/media-rules.ts'
import { storeFile } from './store-file.ts'
import { uploadMedia } from './upload-media.ts'

const now = { timeoutMs: 0, signal: new AbortController().signal }
let app: TestApp
let isAway = false
/** The contents that were scanned. */
let scanned: string[] = []

beforeAll(async () => {
  app = await createTestApp()
})
beforeEach(() => {
  scanned = []
  isAway = false
})
afterAll(() => app.close())

/** The app with a scanner that finds "evil". */
function scanning(onFailure: 'refuse' | 'allow' = 'refuse'): TestApp {
  const scan: TestApp['media']['scan'] = async (file) => {
    if (isAway) throw new Error('away')
    const content = Buffer.concat(await (await file.open()).toArray()).toString()
    scanned.push(content)
    if (content.includes('NUL')) return 'in a\0b'
    return content.includes('evil') ? 'Evil.Test' : undefined
  }
  const scanner = { ...app.config.media.scanner, on_failure: onFailure }
  return { ...app, media: { ...app.media, scan }, config: { ...app.config, media: { ...app.config.media, scanner } } }
}

const upload = (on: TestApp, content: string) =>
  uploadMedia(on, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: undefined,
    filename: undefined,
    source: Readable.from([Buffer.from(content)]),
  })

test('each content is scanned once; what is found is refused from then on, until the rule is deleted', async () => {
  const on = scanning()
  await upload(on, 'good')
  await upload(on, 'good')
  const before = storedFiles(app)
  const refused = { status: 403, errcode: 'M_FORBIDDEN' }
  await expect(upload(on, 'evil')).rejects.toMatchObject({ ...refused, message: expect.stringContaining('Evil.Test') })
  await expect(upload(on, 'evil')).rejects.toMatchObject(refused)
  expect(scanned).toEqual(['good', 'evil'])
  expect(storedFiles(app)).toEqual(before)
  const rule = await app.database.sql.selectFrom('media_content_rules').selectAll().executeTakeFirstOrThrow()
  expect(rule).toMatchObject({ verdict: 'deny', set_by: 'scanner', reason: 'Evil.Test' })
  await removeContentRule(app, rule.sha256)
  await expect(upload(on, 'evil')).rejects.toMatchObject(refused)
  expect(scanned).toEqual(['good', 'evil', 'evil'])
})

test('a finding that quotes a name with NUL refuses the file', async () => {
  const refused = { status: 403, message: expect.stringContaining('in a b') }
  await expect(upload(scanning(), 'a NUL inside')).rejects.toMatchObject(refused)
})

test('files from before there was a scanner are scanned when they are uploaded again', async () => {
  await upload(app, 'old')
  await upload(scanning(), 'old')
  await upload(scanning(), 'old')
  expect(scanned).toEqual(['old'])
})

test('without an answer of the scanner, files are refused, or allowed and scanned later', async () => {
  isAway = true
  await expect(upload(scanning(), 'first')).rejects.toMatchObject({ status: 503, errcode: 'M_UNKNOWN' })
  await upload(scanning('allow'), 'second')
  isAway = false
  await upload(scanning(), 'second')
  expect(scanned).toEqual(['second'])
})

test('stored copies of other servers are scanned before they are served', async () => {
  const copy = async (mediaId: string, content: string) => {
    const name = { serverName: 'elsewhere.test' as ServerName, mediaId }
    await storeFile(app, Readable.from([Buffer.from(content)]), (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, contentType: 'text/plain', filename: null, sha256, now: app.clock.now() }),
    )
    return name
  }
  const [good, evil] = [await copy('a', 'a good copy'), await copy('b', 'an evil copy')]
  const on = scanning()
  isAway = true
  await expect(findMedia(on, good, now)).rejects.toMatchObject({ status: 503 })
  isAway = false
  for (const _ of [1, 2]) expect((await findMedia(on, good, now)).file.size).toBe(11)
  for (const _ of [1, 2]) await expect(findMedia(on, evil, now)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  expect(scanned).toEqual(['a good copy', 'an evil copy'])
})
