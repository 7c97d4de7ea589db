import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ObjectStore } from './object-store.ts'
import { createS3Store, type S3Options } from './s3.ts'
import { stageFile } from './staged-file.ts'
import { whyStoreFails } from './store-unavailable.ts'
import { startTestBucket, type TestBucket } from './test-bucket.ts'

const PART = 8 * 1024 ** 2
const HEADERS = { contentType: 'text/plain', disposition: 'attachment; filename="a b"', cacheControl: 'private' }

let bucket: TestBucket
let folder: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-s3-'))
  bucket = await startTestBucket()
})
afterEach(() => {
  bucket.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Opens the bucket, without a cache unless `options` have one. */
function open(options: Partial<S3Options> = {}): ObjectStore {
  return createS3Store(
    {
      ...{ endpoint: bucket.endpoint, region: 'us-east-1', bucket: 'media', prefix: 'some/folder/', encryption: {} },
      ...{ credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, forcePathStyle: true, presignedRedirects: false },
      cache: { folder, maxBytes: 0 },
      ...options,
    },
    pino({ level: 'silent' }),
  )
}

async function put(store: ObjectStore, key: string, size: number): Promise<Buffer> {
  const content = Buffer.alloc(size, 'content ')
  await store.put(key, await stageFile(store.stagingFolder, Readable.from([content]), size))
  return content
}

/** Returns each request as method and parameters, with its headers for encryption. */
function encryptionOfRequests() {
  return bucket.requests.map(({ method, query, headers }) => ({
    request: [method, ...[...query.keys()].filter((name) => name !== 'x-id')].join(' '),
    encryption: headers['x-amz-server-side-encryption'],
    key: headers['x-amz-server-side-encryption-aws-kms-key-id'],
  }))
}

test.each([
  [{}, undefined, undefined],
  [{ ServerSideEncryption: 'AES256' }, 'AES256', undefined],
  [{ ServerSideEncryption: 'aws:kms' }, 'aws:kms', undefined],
  [{ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'a key' }, 'aws:kms', 'a key'],
] as const)('encryption %j is asked for when an object begins, and only then', async (encryption, method, key) => {
  const store = open({ encryption })
  await put(store, 'small', 1)
  await put(store, 'large', 2 * PART + 1)
  await buffer((await store.get('large'))!)
  const asked = { encryption: method, key }
  const nothing = { encryption: undefined, key: undefined }
  expect(encryptionOfRequests()).toEqual([
    { request: 'PUT', ...asked },
    { request: 'POST uploads', ...asked },
    ...[1, 2, 3].map(() => ({ request: 'PUT partNumber uploadId', ...nothing })),
    { request: 'POST uploadId', ...nothing },
    { request: 'GET', ...nothing },
  ])
})

test.each([
  [0, 1],
  [1, 1],
  [PART + 1, 1],
  [2 * PART, 1],
  [2 * PART + 1, 3],
  [3 * PART, 3],
  [3 * PART + 1, 4],
])('%i bytes are sent in %i requests, under the prefix, and come back', async (size, requests) => {
  const store = open()
  const content = await put(store, 'object', size)
  expect(bucket.requests.filter(({ method }) => method === 'PUT')).toHaveLength(requests)
  expect([...bucket.objects.keys()]).toEqual(['some/folder/object'])
  expect(await store.sizeOf('object')).toBe(size)
  expect((await buffer((await store.get('object'))!)).equals(content)).toBe(true)
  if (size > 0) expect(await buffer((await store.get('object', { start: 0, end: 0 }))!)).toHaveLength(1)
  await store.delete('object')
  expect([bucket.objects.size, await store.sizeOf('object'), await store.get('object')]).toEqual([
    0,
    undefined,
    undefined,
  ])
})

test('the signature of one request covers the hash of the content', async () => {
  const content = await put(open(), 'object', 1000)
  const hash = createHash('sha256').update(content).digest('hex')
  expect(bucket.requests.map(({ headers }) => headers['x-amz-content-sha256'])).toEqual([hash])
})

test('deleting an object also aborts uploads of it that a dead process began, and no others', async () => {
  const store = open()
  bucket.uploads.set('1', 'some/folder/object').set('2', 'some/folder/object').set('3', 'some/folder/object-2')
  await store.delete('object')
  expect([...bucket.uploads.values()]).toEqual(['some/folder/object-2'])
})

test.each([
  ['one request', 100],
  ['parts', 2 * PART + 1],
])('a full bucket refuses %s: the reason is kept, and nothing stays', async (_, size) => {
  bucket.refusal = { status: 400, code: 'QuotaExceeded', message: 'The quota of this bucket is used up' }
  const store = open({ cache: { folder, maxBytes: 100_000_000 } })
  const failure = await put(store, 'object', size).catch((error) => error)
  expect(failure).toMatchObject({ status: 503 })
  expect(whyStoreFails(failure)).toBe('QuotaExceeded: The quota of this bucket is used up')
  expect([bucket.objects.size, bucket.uploads.size, await store.get('object')]).toEqual([0, 0, undefined])
})

test('a URL for a client names the object, how to serve it, and an end', async () => {
  const store = open({ presignedRedirects: true, encryption: { ServerSideEncryption: 'AES256' } })
  const content = await put(store, 'object', 10)
  const url = new URL((await store.presign!('object', HEADERS))!)
  expect(url.pathname).toBe('/media/some/folder/object')
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    'response-content-type': HEADERS.contentType,
    'response-content-disposition': HEADERS.disposition,
    'response-cache-control': HEADERS.cacheControl,
    'X-Amz-Expires': '300',
    'X-Amz-SignedHeaders': 'host',
  })
  expect(Buffer.from(await (await fetch(url)).arrayBuffer())).toEqual(content)
})
