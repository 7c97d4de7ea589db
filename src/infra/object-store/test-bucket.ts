import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** A request that the bucket has received. */
export type BucketRequest = { method: string; path: string; query: URLSearchParams; headers: IncomingHttpHeaders }

/** A bucket in memory that speaks the part of S3 that Hearth uses, and records the requests. */
export type TestBucket = {
  endpoint: string
  requests: BucketRequest[]
  /** By path without the name of the bucket. */
  objects: Map<string, Buffer>
  /** Keys of multipart uploads that are neither complete nor aborted, by their ids. */
  uploads: Map<string, string>
  /** While it is set, writes are refused with this code. */
  refusal: { status: number; code: string; message: string } | undefined
  close(): void
}

type Answer = { status: number; headers?: Record<string, string | number>; body?: Buffer | string }

export async function startTestBucket(): Promise<TestBucket> {
  const parts = new Map<string, Buffer>()
  const server = createServer(async (request, response) => {
    const { pathname, searchParams: query } = new URL(request.url!, 'http://bucket')
    const received = { method: request.method!, path: pathname, query, headers: request.headers }
    bucket.requests.push(received)
    const { status, headers, body = '' } = respond(received, await buffer(request))
    response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body)
  })
  const bucket: TestBucket = {
    endpoint: '',
    requests: [],
    objects: new Map(),
    uploads: new Map(),
    refusal: undefined,
    close: () => void server.close().closeAllConnections(),
  }

  function respond({ method, path, query, headers }: BucketRequest, body: Buffer): Answer {
    const key = decodeURIComponent(path.split('/').slice(2).join('/'))
    const uploadId = query.get('uploadId')
    if (bucket.refusal && ['PUT', 'POST'].includes(method)) return refuse(bucket.refusal)
    if (query.has('uploads')) return method === 'POST' ? begin(key) : list(query.get('prefix')!)
    if (uploadId !== null) return ofUpload(method, uploadId, { part: Number(query.get('partNumber')), body })
    if (method === 'PUT') bucket.objects.set(key, body)
    if (method === 'DELETE') bucket.objects.delete(key)
    if (method === 'PUT') return { status: 200, headers: { ETag: etagOf(body) } }
    if (method === 'DELETE') return { status: 204 }
    const found = bucket.objects.get(key)
    return found ? serve(found, headers.range) : refuse({ status: 404, code: 'NoSuchKey', message: 'No such key' })
  }

  function begin(key: string): Answer {
    const id = String(bucket.requests.length)
    bucket.uploads.set(id, key)
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
  }

  function list(prefix: string): Answer {
    const uploads = [...bucket.uploads].filter(([, key]) => key.startsWith(prefix))
    const items = uploads.map(([id, key]) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`)
    return xml(`<ListMultipartUploadsResult>${items.join('')}</ListMultipartUploadsResult>`)
  }

  function ofUpload(method: string, id: string, { part, body }: { part: number; body: Buffer }): Answer {
    const key = bucket.uploads.get(id)!
    if (method === 'PUT') parts.set(`${id}/${part}`, body)
    if (method === 'PUT') return { status: 200, headers: { ETag: etagOf(body) } }
    bucket.uploads.delete(id)
    if (method === 'DELETE') return { status: 204 }
    const own = [...parts].filter(([name]) => name.startsWith(`${id}/`)).toSorted(byNumber)
    bucket.objects.set(key, Buffer.concat(own.map(([, content]) => content)))
    return xml(`<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bucket.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return bucket
}

function serve(content: Buffer, range: string | undefined): Answer {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (start === undefined) return { status: 200, body: content, headers: { 'Content-Length': content.length } }
  const body = content.subarray(Number(start), Number(end) + 1)
  return { status: 206, body, headers: { 'Content-Length': body.length } }
}

function refuse({ status, code, message }: NonNullable<TestBucket['refusal']>): Answer {
  return { ...xml(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`), status }
}

function xml(text: string): Answer {
  return { status: 200, body: `<?xml version="1.0"?>${text}`, headers: { 'Content-Type': 'application/xml' } }
}

function etagOf(content: Buffer): string {
  return `"${createHash('md5').update(content).digest('hex')}"`
}

function byNumber([left]: [string, Buffer], [right]: [string, Buffer]): number {
  return Number(left.split('/')[1]) - Number(right.split('/')[1])
}
