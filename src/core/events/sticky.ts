import type { Pdu } from '../pdu.ts'

/** The top-level key of a PDU: https://github.com/matrix-org/matrix-spec-proposals/pull/4354 */
export const STICKY = 'msc4354_sticky'

/** Milliseconds. Longer durations of other servers count as this one. */
export const MAX_STICKY_MS = 60 * 60_000

/** Returns how long an event is sticky, in milliseconds, at most an hour; undefined if it is not, or was redacted. */
export function stickyDuration({ [STICKY]: sticky }: Pick<Pdu, typeof STICKY>): number | undefined {
  if (typeof sticky !== 'object' || sticky === null || Array.isArray(sticky)) return undefined
  const { duration_ms: duration } = sticky
  if (typeof duration !== 'number' || !Number.isSafeInteger(duration) || duration < 0) return undefined
  return Math.min(duration, MAX_STICKY_MS)
}

/**
 * Returns until when an event that arrives now is sticky, in milliseconds since 1970; undefined if it is not, or no
 * longer.
 */
export function stickyUntil(pdu: Pdu, now: number): number | undefined {
  const duration = stickyDuration(pdu)
  if (duration === undefined) return undefined
  const until = Math.min(pdu.origin_server_ts, now) + duration
  return until > now ? until : undefined
}
