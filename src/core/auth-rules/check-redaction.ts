import { domainOf } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { PowerLevels } from '../rooms/power-levels.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/** Rule 11 of room versions 1 and 2, `m.room.redaction`: https://spec.matrix.org/v1.19/rooms/v2/#authorisation-rules */
export function checkRedaction(event: Event, levels: PowerLevels): AuthVerdict {
  const { sender, redacts } = event.pdu
  // 11.1
  if (levels.of(sender) >= levels.redact) return ALLOWED
  // 11.2
  const domain = typeof redacts === 'string' ? domainOf(redacts) : undefined
  if (domain !== undefined && domain === domainOf(event.event_id)) return ALLOWED
  // 11.3
  return refuse('11.3', 'Only senders with the power to redact may redact the events of other servers')
}
