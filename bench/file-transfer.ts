import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** Returns files of the same size with different contents, which share no memory beyond the need of one. */
export function distinctFiles(bytes: number): () => Buffer {
  const content = randomBytes(bytes)
  let number = 0
  return () => {
    content.writeUInt32LE(number++, 0)
    return content
  }
}

/** Uploads a file and returns its server name and media ID, `example.org/id`. */
export async function upload(
  at: { url: string; token: string },
  { file, type = 'application/octet-stream' }: { file: Buffer; type?: string },
): Promise<string> {
  const headers = { 'Content-Type': type, 'Content-Length': file.length }
  const response = await send(at, { method: 'POST', path: '/_matrix/media/v3/upload', headers, body: file })
  return ((await json(response)) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

/** Reads a response and returns its size in bytes. */
export async function download(at: { url: string; token: string }, path: string): Promise<number> {
  const response = await send(at, { method: 'GET', path, headers: {} })
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  await once(response, 'end')
  return bytes
}

async function send(
  { url, token }: { url: string; token: string },
  { method, path, headers, body }: { method: string; path: string; headers: Record<string, unknown>; body?: Buffer },
): Promise<IncomingMessage> {
  const request = httpRequest(`${url}${path}`, {
    method,
    agent,
    headers: { ...headers, Authorization: `Bearer ${token}` } as Record<string, string>,
  })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${method} ${path} answers ${response.statusCode}`)
  return response
}
