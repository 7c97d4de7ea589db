import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FakeScanner, MALWARE, startFakeClamd } from '../../testing/scanners.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { type Hearths, startHearths } from '../harness/several-hearths.ts'

/** Limits of users, the scanner, and a full media folder, on three processes. */
const LIMIT = 1_000_000
let folder: string
let scanner: FakeScanner
let server: Hearths

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-media-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder])
  scanner = await startFakeClamd({ maxBytes: 32 * 1024 ** 2 })
  server = await startHearths(3, {
    media: {
      storage_dir: folder,
      scanner: { clamd: scanner.address },
      upload_limits: [{ time_period: '1h', max_size: LIMIT }, { max_size: 100_000_000 }],
    },
  })
})
afterAll(async () => {
  await server?.dispose()
  await scanner?.[Symbol.asyncDispose]()
  execFileSync('umount', [folder])
  rmSync(folder, { recursive: true })
})

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
type Answer = { status: number; body: any }

async function upload(user: TestUser, body: Buffer, url = server.url): Promise<Answer> {
  const response = await fetch(`${url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.accessToken}` },
    body: new Uint8Array(body),
  })
  return { status: response.status, body: await response.json() }
}

const filesIn = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name !== 'filler',
  )
const logOf = () => server.hearths.map((hearth) => hearth.output()).join('')

test('uploads at several processes do not exceed the limit of a user together', async () => {
  const alice = await registerUser(server.url)
  const urls = server.hearths.map(({ url }) => url)
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, place) => upload(alice, randomBytes(LIMIT / 5), urls[place % urls.length])),
  )
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
  const refused = answers.find(({ status }) => status !== 200)!
  expect(refused).toEqual({
    status: 403,
    body: {
      errcode: 'M_USER_LIMIT_EXCEEDED',
      error: expect.stringContaining('within 60 minutes'),
      info_uri: expect.stringContaining(server.url),
    },
  })
})

test('malware is refused by every process; without the scanner, uploads fail with a reason', async () => {
  const alice = await registerUser(server.url)
  const infected = Buffer.concat([randomBytes(1000), MALWARE])
  const before = filesIn().length
  for (const { url } of server.hearths) {
    const { status, body } = await upload(alice, infected, url)
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  }
  expect(scanner.scanned.filter((content) => content.equals(infected))).toHaveLength(1)
  scanner.mode = 'away'
  const { status, body } = await upload(alice, randomBytes(1000))
  expect([status, body.error]).toEqual([503, expect.stringContaining('cannot be scanned')])
  scanner.mode = 'working'
  expect(filesIn()).toHaveLength(before)
  expect((await upload(alice, randomBytes(1000))).status).toBe(200)
})

test('a full media folder: uploads and thumbnails fail with a reason and a log line, and leave nothing', async () => {
  const alice = await registerUser(server.url)
  const picture = await sharp(randomBytes(300 * 300 * 3), { raw: { width: 300, height: 300, channels: 3 } })
    .png()
    .toBuffer()
  const path = (await upload(alice, picture)).body.content_uri.slice('mxc://'.length)
  const before = filesIn().length
  const filler = join(folder, 'filler')
  const chunk = Buffer.alloc(16 * 1024)
  expect(() => {
    for (;;) appendFileSync(filler, chunk)
  }).toThrow('ENOSPC')
  const url = server.hearths[0]!.url
  const { status, body } = await upload(alice, randomBytes(200_000), url)
  expect([status, body.error]).toEqual([503, expect.stringContaining('no space left on its disk')])
  const thumbnail = await fetch(`${url}/_matrix/client/v1/media/thumbnail/${path}?width=96&height=96&method=crop`, {
    headers: { Authorization: `Bearer ${alice.accessToken}` },
  })
  expect([thumbnail.status, await thumbnail.json()]).toMatchObject([503, { errcode: 'M_UNKNOWN' }])
  rmSync(filler)
  expect(filesIn()).toHaveLength(before)
  expect(
    logOf()
      .split('\n')
      .filter((line) => line.includes('ENOSPC')),
  ).toHaveLength(2)
  expect((await upload(alice, randomBytes(200_000), url)).status).toBe(200)
})
