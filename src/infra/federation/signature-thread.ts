import { Worker } from 'node:worker_threads'
import { isSignedBy, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../core/signing/ed25519.ts'

/** Whether `signature` is one of `data` with `publicKey`: 64 bytes, any, and 32. */
export type SignatureCheck = { publicKey: Buffer; data: Buffer; signature: Buffer }

/** What goes to the thread: of each check the key, the signature and the data, one after the other. */
export type PackedChecks = { bytes: Uint8Array<ArrayBuffer>; dataLengths: Uint32Array<ArrayBuffer> }

/** The way to the thread and back costs as much as a few checks, and its start as much as a thousand; so many here take 4 ms. */
const MAX_HERE = { withThread: 4, withoutThread: 50 }
/** That are on their way to the thread at once, for each who asks. */
const MAX_DATA_BYTES = 1024 * 1024

type Waiting = { resolve(verdicts: Uint8Array): void; reject(error: Error): void }
let thread: { worker: Worker; waiting: Waiting[] } | undefined

/**
 * Checks many signatures without keeping the main thread from its work; the verdicts are in the order of the checks. One thread is enough, for to read
 * and store an event takes the main thread longer than its signature takes that one. It begins with the first that need it.
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
    // While somebody waits, the process has to stay.
    worker.ref()
    worker.postMessage(checks, [checks.bytes.buffer, checks.dataLengths.buffer])
  })
}

/** It answers in the order in which it is asked. Whoever waits when it fails hears of it, and the next one gets a new one. */
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
