import type { Event } from '../pdu.ts'

/** Whether an event is allowed, or the number (on the room version's page of the specification) of the rule that refuses it, and why. */
export type AuthVerdict = { allowed: true } | { allowed: false; rule: string; reason: string }

/** The room state that an event is judged against. Only keys that `authEventKeys` names for the event, and `m.room.create`, are asked for. */
export type AuthState = { get(type: string, stateKey: string): Event | undefined }

/** The one verdict for everything that is allowed. */
export const ALLOWED: AuthVerdict = { allowed: true }

/** Refusal by a rule. */
export function refuse(rule: string, reason: string): AuthVerdict {
  return { allowed: false, rule, reason }
}
