import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerAdmin, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { startVersitygw, type Versitygw } from '../harness/versitygw.ts'

/**
 * The server, or the bucket, is killed while clients upload, download, delete and ask for thumbnails: no acknowledged
 * file is lost, no deleted one comes back, and the database knows each object. `CRASH_ROUNDS=50` for the long run.
 */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 1)
const CLIENTS = 4
const MIB = 1024 ** 2

/** An acknowledged upload. */
type Upload = { path: string; content: Buffer; isImage: boolean; isDeleted: 'no' | 'perhaps' | 'yes' }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

describe.each([
  ['the server on the disk', 'disk'],
  ['the server on S3', 's3'],
  ['the bucket', 's3'],
] as const)('%s', (victim, store) => {
  let bucket: Versitygw | undefined
  let folder: string
  let hearth: TestHearth
  let admin: TestUser
  let database: pg.Pool
  const uploads: Upload[] = []

  beforeAll(async () => {
    bucket = store === 's3' ? await startVersitygw() : undefined
    folder = mkdtempSync(join(tmpdir(), 'hearth-media-'))
    const databaseUrl = await postgres.createDatabase()
    database = new pg.Pool({ connectionString: databaseUrl, max: 1 })
    const s3 = bucket && { ...bucket.config, cache_size: '1M' }
    hearth = await startHearth({ databaseUrl, config: { media: { storage_dir: folder, ...(s3 && { s3 }) } } })
    admin = await registerAdmin(hearth.url)
  })
  afterAll(async () => {
    await database?.end()
    await hearth?.dispose()
    await bucket?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (path: string, options: RequestInit = {}) =>
    fetch(hearth.url + path, { headers: { Authorization: `Bearer ${admin.accessToken}` }, ...options })
  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())
  const download = (path: string) => ask(`/_matrix/client/v1/media/download/${path}`)
  const thumbnail = (path: string) => ask(`/_matrix/client/v1/media/thumbnail/${path}?width=32&height=32&method=crop`)

  async function upload(): Promise<void> {
    const isImage = Math.random() < 0.5
    const background = { r: randomInt(256), g: randomInt(256), b: randomInt(256) }
    const content = isImage
      ? await sharp({ create: { width: 64, height: 64 + uploads.length, channels: 3, background } })
          .png()
          .toBuffer()
      : randomBytes(randomInt(10) === 0 ? 9 * MIB : 100_000)
    const body = content as NonNullable<RequestInit['body']>
    const response = await ask('/_matrix/media/v3/upload', { method: 'POST', body })
    if (response.status !== 200) return expectAway(response)
    const { content_uri: uri } = (await response.json()) as { content_uri: string }
    uploads.push({ path: uri.replace('mxc://', ''), content, isImage, isDeleted: 'no' })
  }

  async function remove(file: Upload): Promise<void> {
    file.isDeleted = 'perhaps'
    const response = await ask(`/_synapse/admin/v1/media/${file.path}`, { method: 'DELETE' })
    if (response.status !== 200) return expectAway(response)
    await response.text()
    file.isDeleted = 'yes'
  }

  async function read(file: Upload): Promise<void> {
    const response = await (file.isImage && Math.random() < 0.7 ? thumbnail(file.path) : download(file.path))
    if (response.status !== 200) return expectAway(response, file)
    const found = await bytesOf(response)
    expect(file.isImage || found.equals(file.content)).toBe(true)
  }

  /** Another client may delete a file while it is read. */
  async function expectAway(response: Response, file?: Upload): Promise<void> {
    await response.text()
    const isGone = file && file.isDeleted !== 'no' && response.status === 404
    expect(isGone || response.status === 503).toBe(true)
  }

  /** Acts as a client until `isOver`, or until the server is dead. */
  async function act(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const there = uploads.filter(({ isDeleted }) => isDeleted === 'no')
      const one = there[randomInt(Math.max(1, there.length))]
      const what = one ? randomInt(10) : 0
      const acting = what < 4 ? upload() : what < 5 ? remove(one!) : read(one!)
      await acting.catch((error) => {
        // fetch throws a TypeError when the connection ends.
        if (!(error instanceof TypeError)) throw error
      })
    }
  }

  async function expectConsistent(): Promise<void> {
    for (const file of uploads) {
      const response = await download(file.path)
      const found = await bytesOf(response)
      if (file.isDeleted === 'perhaps') file.isDeleted = response.status === 404 ? 'yes' : 'no'
      expect(response.status).toBe(file.isDeleted === 'yes' ? 404 : 200)
      if (file.isDeleted === 'yes') continue
      expect(found.equals(file.content)).toBe(true)
      if (file.isImage) expect((await sharp(await bytesOf(await thumbnail(file.path))).metadata()).width).toBe(32)
    }
    const { rows } = await database.query(`select object_key from media_files
      union select object_key from media_thumbnails union select object_key from pending_objects
      union select value from server_secrets where name like 'media_store_mark_%'`)
    const known = new Set(rows.map(({ object_key }) => object_key))
    const objects = bucket ? bucket.objects() : filesIn(join(folder, 'objects'))
    expect(objects.filter((name) => !known.has(name.split('/').at(-1)))).toEqual([])
  }

  test(`killed, ${ROUNDS} times`, { timeout: ROUNDS * 60_000 }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      let isOver = false
      const before = uploads.length
      const acting = Array.from({ length: CLIENTS }, () => act(() => isOver))
      while (uploads.length < before + 5) await new Promise((resolve) => setTimeout(resolve, 20))
      await new Promise((resolve) => setTimeout(resolve, randomInt(500)))
      await (victim === 'the bucket' ? bucket! : hearth).kill('SIGKILL')
      // Some requests begin afterwards.
      await new Promise((resolve) => setTimeout(resolve, 50))
      isOver = true
      await Promise.all(acting)
      await (victim === 'the bucket' ? bucket! : hearth).restart()
      await expectConsistent()
    }
    expect(uploads.some(({ isDeleted }) => isDeleted === 'no')).toBe(true)
  })
})

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}
