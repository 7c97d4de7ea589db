import { domainOf } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/** Rule 4 of room versions 1 to 5, `m.room.aliases`: https://spec.matrix.org/v1.19/rooms/v5/#authorisation-rules */
export function checkAliases({ pdu }: Event): AuthVerdict {
  // 4.1
  if (pdu.state_key === undefined) return refuse('4.1', 'm.room.aliases has no state_key')
  // 4.2
  if (pdu.state_key !== domainOf(pdu.sender)) return refuse('4.2', 'The state_key is not the domain of the sender')
  // 4.3
  return ALLOWED
}
