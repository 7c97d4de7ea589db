import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { startVersitygw, type Versitygw } from '../harness/versitygw.ts'

/** `hearth media move` with two processes that serve uploads and downloads, while the move and the bucket die. */
const PROGRAM = join(import.meta.dirname, '../../bin/hearth')
const MIB = 1024 ** 2
const FILES = 40

let postgres: TestPostgres
let bucket: Versitygw
let databaseUrl: string
let folder: string
let hearths: TestHearth[]
let alice: TestUser
/** The contents of all uploads that the server has acknowledged, by the path of the download. */
const uploads = new Map<string, Buffer>()

beforeAll(async () => {
  ;[postgres, bucket] = await Promise.all([startPostgres(), startVersitygw()])
  folder = mkdtempSync(join(tmpdir(), 'hearth-media-'))
  databaseUrl = await postgres.createDatabase()
  const media = { storage_dir: folder, store: 'disk', s3: { ...bucket.config, cache_size: 0 } }
  hearths = await Promise.all([1, 2].map(() => startHearth({ databaseUrl, config: { media } })))
  alice = await registerUser(hearths[0]!.url)
})
afterAll(async () => {
  await Promise.all(hearths?.map((hearth) => hearth.dispose()) ?? [])
  await Promise.all([postgres?.stop(), bucket?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

const authorization = () => ({ Authorization: `Bearer ${alice.accessToken}` })

/** Uploads a file to one of the processes; returns whether it was acknowledged. */
async function upload({ url }: TestHearth, content: Buffer): Promise<boolean> {
  const body = content as NonNullable<RequestInit['body']>
  const response = await fetch(`${url}/_matrix/media/v3/upload`, { method: 'POST', headers: authorization(), body })
  const { content_uri: uri } = (await response.json()) as { content_uri?: string }
  if (uri) uploads.set(uri.replace('mxc://', ''), content)
  return response.status === 200
}

/** Downloads a file from one of the processes; undefined if its store does not answer. */
async function download({ url }: TestHearth, path: string): Promise<Buffer | undefined> {
  const response = await fetch(`${url}/_matrix/client/v1/media/download/${path}`, { headers: authorization() })
  if (response.status === 503) return undefined
  expect(response.status).toBe(200)
  return Buffer.from(await response.arrayBuffer())
}

/** Downloads every file, from the processes in turn. */
async function expectAllFiles(): Promise<void> {
  for (const [index, [path, content]] of [...uploads].entries())
    expect((await download(hearths[index % 2]!, path))?.equals(content)).toBe(true)
}

/** Expects that the database knows each object of the bucket: of a file, of an upload that failed, or the marker. */
async function expectNoUnknownObjects(): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query(`select object_key from media_files where store = 's3'
    union select object_key from pending_objects where store = 's3'
    union select value from server_secrets where name = 'media_store_mark_s3'`)
  await client.end()
  const known = new Set(rows.map(({ object_key }) => object_key))
  expect(bucket.objects().filter((name) => !known.has(name.split('/').at(-1)))).toEqual([])
}

function onDisk(): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

/** Sets where new files go, in the file; the processes have to be restarted. */
function configureStore(store: 'disk' | 's3', of = hearths): void {
  for (const { configFile } of of) {
    const config = JSON.parse(readFileSync(configFile, 'utf8'))
    writeFileSync(configFile, JSON.stringify({ ...config, media: { ...config.media, store } }))
  }
}

function startMove(
  to: string,
  { configFile } = hearths[0]!,
): {
  child: ChildProcess
  ended: Promise<{ code: number; stdout: string; stderr: string }>
} {
  const child = spawn(PROGRAM, ['media', 'move', '--to', to, '--json', '--config', configFile])
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
  return { child, ended: ended.then(([[code], stdout, stderr]) => ({ code, stdout, stderr })) }
}

/** Uploads and downloads at both processes until it is stopped. Fails for a wrong file. */
function startTraffic(): { stop(): Promise<void> } {
  let isStopped = false
  const run = async (hearth: TestHearth) => {
    while (!isStopped) {
      if (Math.random() < 0.1) await upload(hearth, randomBytes(1000))
      const [path, content] = [...uploads][Math.floor(Math.random() * uploads.size)]!
      // A body that breaks off belongs to a bucket that has died.
      const found = await download(hearth, path).catch(() => undefined)
      if (found && !found.equals(content)) throw new Error(`${path} is wrong`)
    }
  }
  const running = Promise.all(hearths.map(run))
  return {
    stop() {
      isStopped = true
      return running.then(() => {})
    },
  }
}

test('files move to the bucket while they are used, although the move and the bucket are killed, and back', async () => {
  for (let count = 0; count < FILES; count++)
    await upload(hearths[count % 2]!, randomBytes(count % 10 === 0 ? 9 * MIB : MIB / 2))
  expect(bucket.objects()).toEqual([])
  configureStore('s3')
  for (const hearth of hearths) {
    await hearth.kill('SIGTERM')
    await hearth.restart()
  }
  const examine = () => spawnSync(PROGRAM, ['doctor', '--config', hearths[0]!.configFile]).stdout.toString()
  expect(examine()).toMatch(/40 files and thumbnails \(\d+ MiB\) are in the folder .*\n.*hearth media move --to s3/)

  const traffic = startTraffic()
  const moved = () => FILES + 1 - onDisk().length
  const killed = startMove('s3')
  await pollUntil('some files are moved', () => moved() > 2)
  killed.child.kill('SIGKILL')
  await killed.ended
  expect(moved()).toBeLessThan(FILES)

  const interrupted = startMove('s3')
  const before = moved()
  await pollUntil('more files are moved', () => moved() > before + 2)
  await bucket.kill()
  const failure = await interrupted.ended
  expect(failure).toMatchObject({ code: 1, stdout: '' })
  expect(failure.stderr).toMatch(/ECONN.*\nThe move stopped with \d+ of \d+ .* run the same command again/)
  await bucket.restart()

  const [last, meanwhile] = [startMove('s3'), startMove('s3')]
  const results = await Promise.all([last.ended, meanwhile.ended])
  await traffic.stop()
  const finished = results.find(({ code }) => code === 0)!
  expect(JSON.parse(finished.stdout)).toMatchObject({ to: 's3', left: 0, unmovable: [] })
  await expectAllFiles()
  // The marker of the store stays.
  expect(onDisk()).toHaveLength(1)
  await expectNoUnknownObjects()

  configureStore('disk')
  const { code, stdout } = await startMove('disk').ended
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { to: 'disk', moved: uploads.size, left: 0 }])
  expect(onDisk()).toHaveLength(uploads.size + 1)
  await expectNoUnknownObjects()
  await expectAllFiles()
})

test('a server that holds the embedded database moves the files itself', async () => {
  const media = { storage_dir: join(folder, 'embedded'), store: 'disk', s3: { ...bucket.config, prefix: 'embedded/' } }
  const hearth = await startHearth({ config: { media } })
  try {
    const owner = alice
    alice = await registerUser(hearth.url)
    uploads.clear()
    for (let count = 0; count < 5; count++) await upload(hearth, randomBytes(1000))
    expect((await startMove('s3', hearth).ended).stderr).toContain('Set media.store: s3, restart all processes')
    configureStore('s3', [hearth])
    const stale = await startMove('s3', hearth).ended
    expect(stale.stderr).toContain('It was started with other values of media.store')
    await hearth.kill('SIGTERM')
    await hearth.restart()
    const { code, stdout } = await startMove('s3', hearth).ended
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { to: 's3', moved: 5, left: 0, unmovable: [] }])
    expect(bucket.objects().filter((name) => name.startsWith('embedded/'))).toHaveLength(6)
    for (const [path, content] of uploads) expect(await download(hearth, path)).toEqual(content)
    const body = JSON.stringify({ to: 's3' })
    const proof = Buffer.from(JSON.stringify({ name: 'x', nonce: 'x', time: Date.now(), mac: '00'.repeat(32) }))
    const headers = { authorization: `Hearth-Operator ${proof.toString('base64url')}` }
    const forged = await fetch(`${hearth.url}/_hearth/admin/v1/media/move`, { method: 'POST', body, headers })
    expect([forged.status, await forged.json()]).toMatchObject([403, { errcode: 'M_FORBIDDEN' }])
    alice = owner
  } finally {
    await hearth.dispose()
  }
})
