import type { MatrixClient } from 'matrix-js-sdk'
import {
  CryptoEvent,
  type ShowSasCallbacks,
  VerificationPhase,
  type VerificationRequest,
  type Verifier,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js'
import { pollUntil } from '../../testing/poll-until.ts'

/**
 * Verifies two devices by comparing numbers: `request` starts the verification, `other` is the client that accepts it.
 * Rejects if the numbers differ or either side cancels.
 */
export async function verifyBySas(request: () => Promise<VerificationRequest>, other: MatrixClient): Promise<void> {
  let received: VerificationRequest | undefined
  other.once(CryptoEvent.VerificationRequestReceived, (request) => {
    received = request
  })
  const asked = await request()
  const taken = await pollUntil('the other side is asked', () => received)
  await taken.accept()
  await pollUntil('the other side is ready', () => asked.phase === VerificationPhase.Ready)
  const first = begin(await asked.startVerification('m.sas.v1'))
  const second = begin(await pollUntil('the verification starts', () => taken.verifier))
  const shown = await within('both sides show numbers', Promise.all([first.shown, second.shown]))
  const [numbers, others] = shown.map(({ sas }) => JSON.stringify(sas.decimal))
  if (numbers !== others) throw new Error(`the devices show different numbers: ${numbers} and ${others}`)
  await Promise.all(shown.map((callbacks) => callbacks.confirm()))
  await within('both sides are done', Promise.all([first.done, second.done]))
}

/** Returns the result in time, or throws an error that names what is missing. */
async function within<Result>(what: string, promised: Promise<Result>): Promise<Result> {
  let result: { value: Result } | undefined
  let failure: { error: unknown } | undefined
  promised.then(
    (value) => (result = { value }),
    (error) => (failure = { error }),
  )
  await pollUntil(what, () => result !== undefined || failure !== undefined)
  if (failure) throw failure.error
  return result!.value
}

function begin(verifier: Verifier): { shown: Promise<ShowSasCallbacks>; done: Promise<void> } {
  const done = verifier.verify()
  const shown = new Promise<ShowSasCallbacks>((resolve, reject) => {
    verifier.once(VerifierEvent.ShowSas, resolve)
    done.catch(reject)
  })
  // The side that waits for the other learns of the failure there.
  shown.catch(() => {})
  return { shown, done }
}
