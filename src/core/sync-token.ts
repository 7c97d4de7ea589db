import { InvalidParamError } from './errors.ts'

/**
 * The token for a position of the stream: `next_batch` of /sync. The `1` is the version of the format. `toDevice`: the position up to which the
 * answer told messages to the device, if it had any: who comes back with the token has got them.
 */
export function syncToken(position: number, toDevice?: number): string {
  return toDevice === undefined ? `s1_${position}` : `s1_${position}_${toDevice}`
}

/** The position that a `since` names. Throws M_INVALID_PARAM for what is no sync token of this server. */
export function parseSyncToken(token: string): number {
  const position = /^s1_(\d{1,15})(?:_\d{1,15})?$/.exec(token)?.[1]
  if (position === undefined) throw new InvalidParamError('since: is not a sync token of this server')
  return Number(position)
}

/** The position up to which a token acknowledges messages to the device; undefined when its answer had none. */
export function acknowledgedIn(token: string): number | undefined {
  const position = /^s1_\d{1,15}_(\d{1,15})$/.exec(token)?.[1]
  return position === undefined ? undefined : Number(position)
}
