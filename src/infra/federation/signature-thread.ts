import { Worker } from 'node:worker_threads'
import { isSignedBy, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../core/signing/ed25519.ts'

/** A signature to verify: 32 bytes of key, any data, 64 bytes of signature. */
export type SignatureCheck = { publicKey: Buffer; data: Buffer; signature: Buffer }

/** The message to the thread: of each check the key, the signature and the data, one after the other. */
export type PackedChecks = { bytes: Uint8Array<ArrayBuffer>; dataLengths: Uint32Array<ArrayBuffer> }

/**
 * A round trip to the thread costs as much as a few checks, and its start as much as a thousand; this many on the main
 * thread take 4 ms.
 */
const MAX_HERE = { withThread: 4, withoutThread: 50 }
/** The maximum bytes in transit to the thread, for each caller. */
const MAX_DATA_BYTES = 1024 * 1024

type Waiting = { resolve(verdicts: Uint8Array): void; reject(error: Error): void }
let thread: { worker: Worker; waiting: Waiting[] } | undefined

/**
 * Verifies signatures without blocking the main thread; results are in the order of the checks. One thread is
 * sufficient, because parsing and storing an event takes the main thread longer than verifying its signature takes this
 * one. The thread starts on demand.
 */
export async function verifySignatures(checks: readonly SignatureCheck[]): Promise<boolean[]> {
  if (checks.length <= (thread ? MAX_HERE.withThread : MAX_HERE.withoutThread)) {
    return checks.map(({ publicKey, data, signature }) => isSignedBy(publicKey, data, signature))
  }
  const verdicts: boolean[] = []
  for (const part of inParts(checks.filter(isWhole))) {
    for (const verdict of await verifyThere(packed(part))) verdicts.push(verdict === 1)
  }
  let next = 0
  return checks.map((check) => isWhole(check) && verdicts[next++]!)
}

/** An event may have hundreds of signatures, and its bytes are sent with each. */
function inParts(checks: readonly SignatureCheck[]): SignatureCheck[][] {
  const parts: SignatureCheck[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const check of checks) {
    bytes += check.data.length
    if (bytes > MAX_DATA_BYTES) {
      parts.push([])
      bytes = check.data.length
    }
    parts.at(-1)!.push(check)
  }
  return parts
}

function isWhole({ publicKey, signature }: SignatureCheck): boolean {
  return publicKey.length === PUBLIC_KEY_BYTES && signature.length === SIGNATURE_BYTES
}

function packed(checks: readonly SignatureCheck[]): PackedChecks {
  const dataLengths = Uint32Array.from(checks, ({ data }) => data.length)
  const size = dataLengths.reduce((sum, length) => sum + length + PUBLIC_KEY_BYTES + SIGNATURE_BYTES, 0)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const { publicKey, signature, data } of checks) {
    for (const part of [publicKey, signature, data]) {
      bytes.set(part, at)
      at += part.length
    }
  }
  return { bytes, dataLengths }
}

function verifyThere(checks: PackedChecks): Promise<Uint8Array> {
  thread ??= startThread()
  const { worker, waiting } = thread
  return new Promise((resolve, reject) => {
    waiting.push({ resolve, reject })
    // Keeps the process alive while a caller waits.
    worker.ref()
    worker.postMessage(checks, [checks.bytes.buffer, checks.dataLengths.buffer])
  })
}

/**
 * The thread answers in order. If it fails, all waiting callers get the error, and the next call starts a new thread.
 */
function startThread(): { worker: Worker; waiting: Waiting[] } {
  const worker = new Worker(new URL('./verify-packed-thread.js', import.meta.url))
  const started = { worker, waiting: [] as Waiting[] }
  worker.on('message', (verdicts: Uint8Array) => {
    started.waiting.shift()?.resolve(verdicts)
    if (started.waiting.length === 0) worker.unref()
  })
  worker.on('error', (error) => {
    if (thread === started) thread = undefined
    for (const { reject } of started.waiting.splice(0)) reject(error as Error)
  })
  return started
}
