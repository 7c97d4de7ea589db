import { parentPort } from 'node:worker_threads'
import { isSignedBy, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../core/signing/ed25519.ts'
import type { PackedChecks } from './signature-thread.ts'

// The worker thread of signature-thread.ts: returns for each check 1 if the signature is valid, otherwise 0.
parentPort!.on('message', ({ bytes, dataLengths }: PackedChecks) => {
  const verdicts = new Uint8Array(dataLengths.length)
  let at = 0
  const take = (length: number): Buffer => {
    at += length
    return Buffer.from(bytes.buffer, at - length, length)
  }
  for (const [place, length] of dataLengths.entries()) {
    const [publicKey, signature, data] = [take(PUBLIC_KEY_BYTES), take(SIGNATURE_BYTES), take(length)]
    verdicts[place] = isSignedBy(publicKey, data, signature) ? 1 : 0
  }
  parentPort!.postMessage(verdicts, [verdicts.buffer])
})
