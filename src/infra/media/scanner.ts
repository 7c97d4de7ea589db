import { connect, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { type Dispatcher, request } from 'undici'
import { z } from 'zod'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import { readBounded } from '../http/read-bounded.ts'

/** A file to scan. `sha256` is in base64url. */
export type ScannedFile = { open(): Promise<Readable>; size: number; sha256: string }

/**
 * Scans a file, and returns the name of what it found; undefined: nothing. Rejects if the scanner does not answer, or
 * cannot scan the file.
 */
export type Scan = (file: ScannedFile) => Promise<string | undefined>

/** `clamd`: path of its socket, or host and port. `url`: of a service with an HTTP API. One of them is set. */
export type ScannerOptions = {
  clamd?: string | undefined
  url?: string | undefined
  token?: string | undefined
  timeout: number
  max_concurrent: number
}

const MAX_ANSWER_BYTES = 64 * 1024
const MAX_NAME = 200

const verdict = z.object({ clean: z.boolean(), reason: z.string().optional() })

/** Creates the scanner; undefined if none is configured. `dispatcher`: the connections for HTTP. */
export function createScan(options: ScannerOptions, dispatcher: Dispatcher): Scan | undefined {
  const { clamd, url, timeout, max_concurrent } = options
  const inTurn = createConcurrencyLimit(max_concurrent)
  if (clamd !== undefined) return (file) => inTurn(() => scanWithClamd(clamd, file, timeout))
  if (url !== undefined) return (file) => inTurn(() => scanOverHttp({ ...options, url }, file, dispatcher))
  return undefined
}

/** https://docs.clamav.net/manual/Usage/Scanning.html#clamd: the command INSTREAM, with chunks behind their length. */
async function scanWithClamd(address: string, file: ScannedFile, timeoutMs: number): Promise<string | undefined> {
  const source = await file.open()
  const socket = connect(clamdPlace(address))
  const timeout = setTimeout(() => socket.destroy(new Error('clamd took too long')), timeoutMs)
  try {
    // A file over its limit is answered before its end.
    const answer = readBounded(socket, MAX_ANSWER_BYTES)
    const sent = sendFile(socket, source)
    const [received] = await Promise.all([answer, sent.catch(() => {})])
    const text = received.toString('latin1').split('\0')[0]!.trim()
    if (text === '') await sent
    return findingOf(text)
  } catch (error) {
    throw isCutOff(error) ? cutOff(file, error) : error
  } finally {
    clearTimeout(timeout)
    source.destroy()
    socket.destroy()
  }
}

function isCutOff(error: unknown): boolean {
  return ['EPIPE', 'ECONNRESET'].includes(String((error as NodeJS.ErrnoException).code))
}

/** Its answer is lost when it closes the connection while the file is sent. */
function cutOff({ size }: ScannedFile, cause: unknown): Error {
  const message = `clamd closed the connection within a file of ${size} bytes. Its StreamMaxLength may be too small.`
  return new Error(message, { cause })
}

function clamdPlace(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('/')) return { path: address }
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

async function sendFile(socket: Socket, source: Readable): Promise<void> {
  const write = (bytes: Buffer | string) =>
    new Promise<void>((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())))
  await write('zINSTREAM\0')
  for await (const chunk of source as AsyncIterable<Buffer>) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(chunk.length)
    await write(Buffer.concat([length, chunk]))
  }
  await write(Buffer.alloc(4))
}

function findingOf(answer: string): string | undefined {
  if (answer === 'stream: OK') return undefined
  const [, name] = /^stream: (.+) FOUND$/.exec(answer) ?? []
  if (name === undefined) throw new Error(`clamd answered: ${answer.slice(0, MAX_NAME) || 'nothing'}`)
  return name.slice(0, MAX_NAME)
}

/** The API is described in docs/media.md. */
async function scanOverHttp(
  { url, token, timeout }: ScannerOptions & { url: string },
  file: ScannedFile,
  dispatcher: Dispatcher,
): Promise<string | undefined> {
  const source = await file.open()
  try {
    const response = await request(url, {
      dispatcher,
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(file.size),
        'x-hearth-sha256': Buffer.from(file.sha256, 'base64url').toString('hex'),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: source,
      signal: AbortSignal.timeout(timeout),
    })
    const body = (await readBounded(response.body, MAX_ANSWER_BYTES)).toString()
    if (response.statusCode !== 200) throw new Error(`the scanner answered with status ${response.statusCode}`)
    const { clean, reason } = verdict.parse(JSON.parse(body))
    return clean ? undefined : (reason ?? 'malware').slice(0, MAX_NAME)
  } finally {
    source.destroy()
  }
}
