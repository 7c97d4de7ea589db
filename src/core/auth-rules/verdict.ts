import type { Event } from '../pdu.ts'

/**
 * Whether an event is allowed; otherwise the number of the rule that rejects it (on the room version's page of the
 * specification) and the reason.
 */
export type AuthVerdict = { allowed: true } | { allowed: false; rule: string; reason: string }

/**
 * The room state that authorises an event. Only the keys that `authEventKeys` returns for the event, and
 * `m.room.create`, are read.
 */
export type AuthState = { get(type: string, stateKey: string): Event | undefined }

/** The verdict for all allowed events. */
export const ALLOWED: AuthVerdict = { allowed: true }

/** Returns the verdict of a rule that rejects the event. */
export function refuse(rule: string, reason: string): AuthVerdict {
  return { allowed: false, rule, reason }
}
