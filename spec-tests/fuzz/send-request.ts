import type { Dispatcher } from 'undici'
import type { FuzzRequest } from './request-draft.ts'

/**
 * The response to a request; `left`: the client closed the connection before there was one, like a client after its
 * timeout.
 */
export type FuzzAnswer =
  | { kind: 'answer'; status: number; text: string; headers: Record<string, string | string[] | undefined> }
  | { kind: 'left' }
  | { kind: 'none'; reason: string }

/** Nothing may take longer, even on a busy machine. */
const PATIENCE_MS = 60_000
/** For a long poll whose changed timeout is longer than intended. */
const LONG_POLL_MS = 1_500
/** Maximum bytes of a response that are kept. */
const MAX_ANSWER = 16 * 1024 * 1024

export async function sendRequest(dispatcher: Dispatcher, url: string, request: FuzzRequest): Promise<FuzzAnswer> {
  const signal = AbortSignal.timeout(request.isLongPoll ? LONG_POLL_MS : PATIENCE_MS)
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin: url,
      path: request.path,
      method: request.method as Dispatcher.HttpMethod,
      headers: request.headers,
      body: request.body ?? null,
      signal,
    })
    const text = await readAtMost(body, MAX_ANSWER)
    return { kind: 'answer', status: statusCode, text, headers }
  } catch (error) {
    if (request.isLongPoll && signal.aborted) return { kind: 'left' }
    return { kind: 'none', reason: signal.aborted ? `no answer in ${PATIENCE_MS / 1000} s` : String(error) }
  }
}

async function readAtMost(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size <= limit) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
