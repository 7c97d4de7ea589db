import type { MatrixClient } from 'matrix-js-sdk'
import {
  CryptoEvent,
  type ShowSasCallbacks,
  VerificationPhase,
  type VerificationRequest,
  type Verifier,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js'
import { pollUntil } from './poll-until.ts'

/** Two people compare numbers: `request` asks for it, `other` is the client that takes it up. Rejects when the numbers differ or either side gives up. */
export async function verifyBySas(request: () => Promise<VerificationRequest>, other: MatrixClient): Promise<void> {
  const received = new Promise<VerificationRequest>((resolve) => {
    other.once(CryptoEvent.VerificationRequestReceived, resolve)
  })
  const asked = await request()
  const taken = await received
  await taken.accept()
  await pollUntil('the other side is ready', () => asked.phase === VerificationPhase.Ready)
  const first = begin(await asked.startVerification('m.sas.v1'))
  const second = begin(await pollUntil('the verification starts', () => taken.verifier))
  const shown = await Promise.all([first.shown, second.shown])
  const [numbers, others] = shown.map(({ sas }) => JSON.stringify(sas.decimal))
  if (numbers !== others) throw new Error(`the devices show different numbers: ${numbers} and ${others}`)
  await Promise.all(shown.map((callbacks) => callbacks.confirm()))
  await Promise.all([first.done, second.done])
}

function begin(verifier: Verifier): { shown: Promise<ShowSasCallbacks>; done: Promise<void> } {
  const done = verifier.verify()
  const shown = new Promise<ShowSasCallbacks>((resolve, reject) => {
    verifier.once(VerifierEvent.ShowSas, resolve)
    done.catch(reject)
  })
  // Whoever waits for the other side first learns of it there.
  shown.catch(() => {})
  return { shown, done }
}
