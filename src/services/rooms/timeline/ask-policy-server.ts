import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { Event } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { hasPolicySignature, POLICY_KEY_ID, type PolicySignatureNeeded } from './policy-server.ts'

const TIMEOUT_MS = 10_000
const DRAFT_PATH = '/_matrix/policy/unstable/org.matrix.msc4284/sign'

const answer = z.record(z.string(), z.record(z.string(), z.string()))

/**
 * Requests the signature of a room's policy server on an event. Throws that server's error if it refuses, M_FORBIDDEN
 * if the signature is not by the room's key, and M_UNKNOWN (502) if it does not answer.
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign
 */
export async function askPolicyServer(
  app: Pick<App, 'federation'>,
  { policyServer, version, event }: PolicySignatureNeeded,
): Promise<Event> {
  const { via } = policyServer
  const { unsigned: _, ...body } = event.pdu
  const signatures = answer.safeParse(await ask(app, via, body))
  if (!signatures.success)
    throw new MatrixError(502, 'M_UNKNOWN', 'The policy server of the room sent a malformed response')
  const signature = signatures.data[via]?.[POLICY_KEY_ID]
  if (signature === undefined) throw new ForbiddenError('The policy server of the room refused to sign the event')
  const ofServer = { ...event.pdu.signatures[via], [POLICY_KEY_ID]: signature }
  const pdu = { ...event.pdu, signatures: { ...event.pdu.signatures, [via]: ofServer } }
  if (!hasPolicySignature(version, pdu, policyServer))
    throw new ForbiddenError('The signature of the policy server does not match its key in the room')
  return { ...event, pdu }
}

async function ask(
  app: Pick<App, 'federation'>,
  destination: PolicySignatureNeeded['policyServer']['via'],
  body: object,
) {
  const askAt = (path: string) =>
    app.federation.request({ destination, method: 'POST', path, body, timeoutMs: TIMEOUT_MS, lane: 'own' })
  try {
    return await askAt('/_matrix/policy/v1/sign').catch((error: unknown) => {
      // Policy servers that predate the specification know only the draft's path.
      if (error instanceof FederationError && error.isUnknownEndpoint()) return askAt(DRAFT_PATH)
      throw error
    })
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
    const { status, errcode, message, extra } = error.toMatrixError()
    // Passes on the policy server's own message, so that the sender knows the reason.
    throw new MatrixError(status, errcode, status < 500 ? (error.said ?? message) : message, extra)
  }
}
