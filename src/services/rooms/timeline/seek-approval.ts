import type { App } from '../../../app.ts'
import { clientEvent } from '../../../core/events/client-event.ts'
import type { Event } from '../../../core/pdu.ts'
import type { ApprovalNeeded } from './approval-needed.ts'
import { askPolicyServer } from './ask-policy-server.ts'
import { PolicySignatureNeeded } from './policy-server.ts'
import { EVENT_CHECK } from './spam-check.ts'

/**
 * Asks the room's policy server, or the service for spam checks, about an event, and returns the approved event.
 * Throws their refusal, as askPolicyServer and SpamChecks.
 */
export async function seekApproval(
  app: Pick<App, 'federation' | 'spamChecks' | 'timeline'>,
  needed: ApprovalNeeded,
): Promise<Event> {
  if (needed instanceof PolicySignatureNeeded) return askPolicyServer(app, needed)
  const { event, version } = needed
  await app.spamChecks?.check(EVENT_CHECK, () => ({ event: clientEvent(event, version) }))
  app.timeline.approvedEvents.noteChecked(event.event_id)
  return event
}
