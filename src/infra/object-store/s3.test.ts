import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ObjectStore } from './object-store.ts'
import { createS3Store } from './s3.ts'
import { StoreUnavailableError } from './store-unavailable.ts'

/** A bucket whose answers stop after their first bytes. */
let answers: ServerResponse[] = []
const bucket = createServer((_, response) => {
  answers.push(response)
  response.writeHead(200, { 'content-length': 1000 }).write('the first bytes')
})
const folder = mkdtempSync(join(tmpdir(), 'hearth-s3-'))
let store: ObjectStore
beforeAll(async () => {
  await new Promise<void>((resolve) => bucket.listen(0, '127.0.0.1', resolve))
  store = createS3Store(
    {
      endpoint: `http://127.0.0.1:${(bucket.address() as AddressInfo).port}`,
      ...{ region: 'us-east-1', bucket: 'media', prefix: '', forcePathStyle: true, encryption: {} },
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      presignedRedirects: false,
      cache: { folder, maxBytes: 1_000_000 },
    },
    pino({ level: 'silent' }),
  )
})
afterAll(() => {
  bucket.closeAllConnections()
  bucket.close()
  rmSync(folder, { recursive: true, force: true })
})

const ranges = [undefined, { start: 0, end: 999 }]

test.each(ranges)('a bucket that dies during the answer is an unavailable store (range %j)', async (range) => {
  answers = []
  const reading = buffer((await store.get('object', range))!)
  answers[0]!.destroy()
  await expect(reading).rejects.toBeInstanceOf(StoreUnavailableError)
})

test.each(ranges)('a reader that leaves ends the request of a bucket that stalls (range %j)', async (range) => {
  answers = []
  const stream = (await store.get('object', range))!
  await new Promise((resolve) => stream.once('data', resolve))
  stream.destroy()
  await expect.poll(() => answers[0]!.destroyed).toBe(true)
})

test.each(ranges)('a reader that leaves ends the request, even before it reads (range %j)', async (range) => {
  answers = []
  ;(await store.get('object', range))!.destroy()
  await expect.poll(() => answers[0]!.destroyed).toBe(true)
})
