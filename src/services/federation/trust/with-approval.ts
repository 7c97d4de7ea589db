import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { Event } from '../../../core/pdu.ts'
import { ApprovalNeeded } from '../../rooms/timeline/approval-needed.ts'
import { PolicySignatureNeeded } from '../../rooms/timeline/policy-server.ts'
import { seekApproval } from '../../rooms/timeline/seek-approval.ts'

/** The spam check, and the policy server, which the room may change during the request. */
const MOST_QUESTIONS = 4

/**
 * Runs an action on a remote event. If the room's policy server has to sign it first, or the spam check has to see it,
 * runs it again with the signature, or with the reason why it is refused.
 * https://spec.matrix.org/v1.19/server-server-api/#validating-policy-server-signatures
 */
export async function withApproval<Result>(
  app: Pick<App, 'federation' | 'spamChecks' | 'timeline'>,
  event: Event,
  work: (event: Event, refusal: { refusedByPolicy?: string }) => Promise<Result>,
): Promise<Result> {
  let signed = event
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    try {
      return await work(signed, {})
    } catch (error) {
      if (!(error instanceof ApprovalNeeded)) throw error
      try {
        signed = await seekApproval(app, error)
      } catch (refusal) {
        if (!(refusal instanceof MatrixError)) throw refusal
        const by = error instanceof PolicySignatureNeeded ? 'the policy server' : 'the spam check'
        return work(signed, { refusedByPolicy: `by ${by}: ${refusal.message}` })
      }
    }
  }
  return work(signed, { refusedByPolicy: 'by the policy server, which changes' })
}
