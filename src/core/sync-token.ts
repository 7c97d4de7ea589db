import { InvalidParamError } from './errors.ts'

/** What a token says beside the position. */
type Beside = {
  /** The position up to which the answer told messages to the device, if it had any: who comes back with the token has got them. */
  toDevice?: number | undefined
  /** The place of the last room that was told of those that the client did not know; those after it are told next. */
  lastRoom?: string | undefined
}

const FORM = /^s1_(?<position>\d{1,15})(?:_(?<toDevice>\d{1,15}))?(?:~(?<lastRoom>[0-9a-f]{32}))?$/

/** The token for a position of the stream: `next_batch` of /sync. The `1` is the version of the format. */
export function syncToken(position: number, { toDevice, lastRoom }: Beside = {}): string {
  const told = toDevice === undefined ? '' : `_${toDevice}`
  return `s1_${position}${told}${lastRoom === undefined ? '' : `~${lastRoom}`}`
}

/** The position that a `since` names. Throws M_INVALID_PARAM for what is no sync token of this server. */
export function parseSyncToken(token: string): number {
  const position = FORM.exec(token)?.groups?.position
  if (position === undefined) throw new InvalidParamError('since: is not a sync token of this server')
  return Number(position)
}

/** The position up to which a token acknowledges messages to the device; undefined when its answer had none. */
export function acknowledgedIn(token: string): number | undefined {
  const position = FORM.exec(token)?.groups?.toDevice
  return position === undefined ? undefined : Number(position)
}

/** The place of the last room that was told; undefined when all were. */
export function lastRoomIn(token: string): string | undefined {
  return FORM.exec(token)?.groups?.lastRoom
}
