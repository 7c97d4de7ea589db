import { createReadStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { freeMemory } from '../free-memory.ts'
import type { Logger } from '../logger.ts'
import { createFreeingAgents } from './freeing-agents.ts'
import { createLocalCache } from './local-cache.ts'
import { checkObjectKey } from './object-key.ts'
import type { ByteRange, ObjectStore, PresignedHeaders } from './object-store.ts'
import type { StagedFile } from './staged-file.ts'
import { StoreUnavailableError } from './store-unavailable.ts'

/** A bucket, and how to reach it. */
export type S3Options = {
  /** Absent: Amazon's. */
  endpoint?: string | undefined
  region: string
  bucket: string
  /** In front of every key, such as `media/`. */
  prefix: string
  /** Absent: found by the SDK in the environment, the shared files, or the role of the machine. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined
  forcePathStyle: boolean
  encryption: { ServerSideEncryption?: 'AES256' | 'aws:kms'; SSEKMSKeyId?: string }
  presignedRedirects: boolean
  /** The folder and maximum size of the local cache, in bytes. */
  cache: { folder: string; maxBytes: number }
}

/** Files up to this size are sent in one request, larger ones in parts, of which two are in memory. */
const WHOLE_BYTES = 16 * 1024 ** 2
const PART_BYTES = 8 * 1024 ** 2
const READ_BYTES = 1024 ** 2
const CONNECT_MS = 5000
/** For one attempt of a request until the answer begins; a part on a slow line needs long. */
const ANSWER_MS = 60_000
const MAX_CONNECTIONS = 200
const PRESIGNED_SECONDS = 300

/**
 * Stores objects in an S3-compatible bucket, with a cache on the local disk. Logs each failure of the bucket, and
 * throws StoreUnavailableError for it. Makes no request before the first use.
 */
export function createS3Store(options: S3Options, logger: Logger): ObjectStore {
  const { bucket, prefix } = options
  const client = connect(options)
  const cache = createLocalCache(join(options.cache.folder, 'objects'), options.cache.maxBytes)
  const at = (key: string) => {
    checkObjectKey(key)
    return { Bucket: bucket, Key: `${prefix}${key}` }
  }
  const unavailable = (error: unknown, action: string): StoreUnavailableError => {
    logger.error({ err: error, bucket, action }, 'media store request failed')
    return new StoreUnavailableError(error)
  }
  const attempt = <Result>(action: string, request: Promise<Result>): Promise<Result> =>
    request.catch((error) => {
      throw unavailable(error, action)
    })

  return {
    name: `the bucket ${bucket}`,
    // In the file system of the cache, so that a stored file becomes a cached one by a rename.
    stagingFolder: join(options.cache.folder, 'staging'),
    async put(key, file) {
      const params = { ...at(key), ...options.encryption }
      await attempt('put', file.size > WHOLE_BYTES ? putInParts(client, params, file) : putWhole(client, params, file))
      await cache.add(key, file)
      await rm(file.path, { force: true })
    },
    async get(key, range) {
      const place = at(key)
      const cached = await cache.read(key, range)
      if (cached) return cached
      const request = client.send(new GetObjectCommand({ ...place, ...(range && { Range: rangeHeader(range) }) }))
      const found = await attempt('get', orUndefined(request))
      if (!found) return undefined
      const body = withErrors(found.Body as Readable, (error) => unavailable(error, 'get'))
      return range || found.ContentLength === undefined ? body : cache.fill(key, body, found.ContentLength)
    },
    async sizeOf(key) {
      const found = await attempt('head', orUndefined(client.send(new HeadObjectCommand(at(key)))))
      return found?.ContentLength
    },
    async delete(key) {
      const place = at(key)
      await cache.remove(key)
      await attempt('delete', orUndefined(client.send(new DeleteObjectCommand(place))))
      await attempt('abort', abortUploads(client, place))
    },
    ...(options.presignedRedirects && {
      presign: (key: string, headers) => attempt('presign', presignedUrl(client, at(key), headers)),
    }),
  }
}

/** An object of a bucket, as the SDK names it. */
type Place = { Bucket: string; Key: string }

type PutParams = Place & S3Options['encryption']

function putInParts(client: S3Client, params: PutParams, { path }: StagedFile): Promise<unknown> {
  const Body = createReadStream(path, { highWaterMark: READ_BYTES })
  const upload = { client, params: { ...params, Body }, partSize: PART_BYTES, queueSize: 2, leavePartsOnError: false }
  return new Upload(upload).done()
}

async function putWhole(client: S3Client, params: PutParams, { path, sha256 }: StagedFile): Promise<void> {
  const Body = await readFile(path)
  const put = new PutObjectCommand({ ...params, Body })
  // The signature covers this hash, which the SDK would calculate once more.
  put.middlewareStack.add(
    (next) => (call) => {
      const { headers } = call.request as { headers: Record<string, string> }
      headers['x-amz-content-sha256'] = Buffer.from(sha256, 'base64url').toString('hex')
      return next(call)
    },
    { step: 'build', name: 'knownHash' },
  )
  await client.send(put)
  freeMemory(Body)
}

/** Aborts uploads in parts whose process died: their parts are stored, but nothing lists them. */
async function abortUploads(client: S3Client, { Bucket, Key }: Place): Promise<void> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }))
  for (const { Key: key, UploadId } of Uploads)
    if (key === Key) await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
}

/** Passes on a stream, with the errors that `toError` makes of its own. Destroys it when it is destroyed itself. */
function withErrors(body: Readable, toError: (error: Error) => Error): Readable {
  const passed = new PassThrough()
  body.on('error', (error) => {
    if (!passed.destroyed) passed.destroy(toError(error))
  })
  passed.once('close', () => body.destroy())
  return body.pipe(passed)
}

function presignedUrl(client: S3Client, place: Place, headers: PresignedHeaders): Promise<string> {
  const request = new GetObjectCommand({
    ...place,
    ResponseContentType: headers.contentType,
    ResponseContentDisposition: headers.disposition,
    ResponseCacheControl: headers.cacheControl,
  })
  return getSignedUrl(client, request, { expiresIn: PRESIGNED_SECONDS })
}

async function orUndefined<Result>(request: Promise<Result>): Promise<Result | undefined> {
  try {
    return await request
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function connect({ endpoint, region, credentials, forcePathStyle }: S3Options): S3Client {
  return new S3Client({
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    // Stores other than Amazon's do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      ...createFreeingAgents(MAX_CONNECTIONS),
    },
  })
}

function rangeHeader({ start, end }: ByteRange): string {
  return `bytes=${start}-${end}`
}

/** Whether the object does not exist. A missing bucket is a failure. */
function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound'].includes((error as Error).name)
}
