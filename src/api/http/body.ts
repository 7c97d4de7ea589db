import type { IncomingMessage } from 'node:http'
import { MatrixError, TooLargeError } from '../../core/errors.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads a JSON body of at most `limit` bytes; an empty body is `{}`. Throws M_TOO_LARGE and M_NOT_JSON. */
export async function readJsonBody(request: IncomingMessage, limit: number): Promise<unknown> {
  const bytes = await readBody(request, limit)
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    throw new MatrixError(400, 'M_NOT_JSON', 'The request body is not JSON in UTF-8')
  }
}

async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = () => new TooLargeError(`The request body is larger than ${limit} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}
