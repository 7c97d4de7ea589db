import { InvalidParamError } from './errors.ts'

/** The token for a position of the stream: `next_batch` of /sync. The `1` is the version of the format. */
export function syncToken(position: number): string {
  return `s1_${position}`
}

/** The position that a `since` names. Throws M_INVALID_PARAM for what is no sync token of this server. */
export function parseSyncToken(token: string): number {
  const position = /^s1_(\d{1,15})$/.exec(token)?.[1]
  if (position === undefined) throw new InvalidParamError('since: is not a sync token of this server')
  return Number(position)
}
