import type { JsonObject } from '../pdu.ts'

/** The lifetime of messages that a room sets (`m.room.retention`), in milliseconds; null: nothing. */
export type RoomRetention = { max_lifetime: number | null; min_lifetime: number | null }

/** The bounds of the server, in milliseconds. */
export type RetentionRules = {
  enabled: boolean
  default_lifetime?: number | undefined
  min_lifetime: number
  max_lifetime?: number | undefined
}

/**
 * Returns how long a room's messages are kept, in milliseconds; undefined: for ever.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/1763
 */
export function lifetimeOf(
  { max_lifetime: max, min_lifetime: min }: RoomRetention,
  rules: Omit<RetentionRules, 'enabled'>,
): number | undefined {
  // A room that contradicts itself says nothing.
  const isContradiction = max !== null && min !== null && min > max
  const wanted = (isContradiction ? null : max) ?? rules.default_lifetime ?? rules.max_lifetime
  if (wanted === undefined) return undefined
  const atLeast = Math.max(rules.min_lifetime, isContradiction ? 0 : (min ?? 0))
  return Math.max(Math.min(Math.max(wanted, atLeast), rules.max_lifetime ?? Infinity), rules.min_lifetime)
}

/** Returns a lifetime in the content of `m.room.retention`; undefined for anything that is none. */
export function lifetimeIn(content: JsonObject, key: keyof RoomRetention): number | undefined {
  const value = content[key]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
