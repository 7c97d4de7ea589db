import { InvalidParamError } from './errors.ts'

/** The parts of a token in addition to the position. */
type Beside = {
  /**
   * The position up to which the response contained to-device messages, if any. A client that sends the token has
   * received them.
   */
  toDevice?: number | undefined
  /** The position up to which the response contained sticky events, if there are more. */
  sticky?: number | undefined
  /**
   * The position of the last new room in a response that did not contain all new rooms; the next response continues
   * after it.
   */
  lastRoom?: string | undefined
}

const FORM =
  /^s1_(?<position>\d{1,15})(?:_(?<toDevice>\d{1,15}))?(?:-(?<sticky>\d{1,15}))?(?:~(?<lastRoom>[0-9a-f]{32}))?$/

/** The token for a position of the stream: `next_batch` of /sync. The `1` is the version of the format. */
export function syncToken(position: number, { toDevice, sticky, lastRoom }: Beside = {}): string {
  const acknowledged = toDevice === undefined ? '' : `_${toDevice}`
  const received = sticky === undefined ? '' : `-${sticky}`
  return `s1_${position}${acknowledged}${received}${lastRoom === undefined ? '' : `~${lastRoom}`}`
}

/**
 * A token of Synapse: the position of events, or the least of those of several writers, followed by those of other
 * streams. An import keeps the positions of events, and appends all else after them.
 */
const SYNAPSE_FORM = /^[sm](?<position>\d{1,15})(?:~[\d.~]+)?(?:_[\d~.]+){5,}$/

/** Returns the position in a token that Synapse issued before an import; undefined for any other text. */
export function positionOfSynapse(token: string): number | undefined {
  const position = SYNAPSE_FORM.exec(token)?.groups?.position
  return position === undefined ? undefined : Number(position)
}

/** Parses the position of a `since`. Throws M_INVALID_PARAM for a text that is not a sync token of this server. */
export function parseSyncToken(token: string): number {
  const position = FORM.exec(token)?.groups?.position ?? positionOfSynapse(token)
  if (position === undefined) throw new InvalidParamError('since: is not a sync token of this server')
  return Number(position)
}

/** Returns the position up to which a token acknowledges to-device messages; undefined if its response had none. */
export function acknowledgedIn(token: string): number | undefined {
  const position = FORM.exec(token)?.groups?.toDevice
  return position === undefined ? undefined : Number(position)
}

/** Returns the position up to which the client has sticky events; undefined if it has those up to the token's. */
export function stickyIn(token: string): number | undefined {
  const position = FORM.exec(token)?.groups?.sticky
  return position === undefined ? undefined : Number(position)
}

/** Returns the position of the last new room; undefined if the response contained all of them. */
export function lastRoomIn(token: string): string | undefined {
  return FORM.exec(token)?.groups?.lastRoom
}
