import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { Event } from '../../../core/pdu.ts'
import { askPolicyServer } from '../../rooms/timeline/ask-policy-server.ts'
import { PolicySignatureNeeded } from '../../rooms/timeline/policy-server.ts'

/** The room may change its policy server during the request. */
const MOST_QUESTIONS = 3

/**
 * Runs an action on a remote event. If the room's policy server has to sign it first, runs it again with the signature,
 * or with the reason why there is none.
 * https://spec.matrix.org/v1.19/server-server-api/#validating-policy-server-signatures
 */
export async function withPolicySignature<Result>(
  app: Pick<App, 'federation'>,
  event: Event,
  work: (event: Event, refusal: { refusedByPolicy?: string }) => Promise<Result>,
): Promise<Result> {
  let signed = event
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    try {
      return await work(signed, {})
    } catch (error) {
      if (!(error instanceof PolicySignatureNeeded)) throw error
      try {
        signed = await askPolicyServer(app, error)
      } catch (refusal) {
        if (!(refusal instanceof MatrixError)) throw refusal
        return work(signed, { refusedByPolicy: `by the policy server: ${refusal.message}` })
      }
    }
  }
  return work(signed, { refusedByPolicy: 'by the policy server, which changes' })
}
