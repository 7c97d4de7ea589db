import { parentPort } from 'node:worker_threads'
import { isSignedBy, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../core/signing/ed25519.ts'
import type { PackedChecks } from './signature-thread.ts'

// What the thread of signature-thread.ts does: for each check that it is sent, 1 where the signature is good, else 0.
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
