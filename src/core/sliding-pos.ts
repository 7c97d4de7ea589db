import { MatrixError } from './errors.ts'

/** The position of a sliding sync connection: the last answer that the client has received, and its stream position. */
export type SlidingPos = { connection: number; answer: number; position: number }

/** Formats the `pos` of an answer. The `1` is the version of the format. */
export function slidingPos({ connection, answer, position }: SlidingPos): string {
  return `l1_${connection}_${answer}_${position}`
}

/** Parses a `pos`. Throws M_UNKNOWN_POS for a text that is not from this server. */
export function parseSlidingPos(pos: string): SlidingPos {
  const [, connection, answer, position] = /^l1_(\d{1,15})_(\d{1,15})_(\d{1,15})$/.exec(pos) ?? []
  if (position === undefined) throw unknownPos()
  return { connection: Number(connection), answer: Number(answer), position: Number(position) }
}

/** 400: the connection has expired or never existed; the client has to start a new one. */
export function unknownPos(): MatrixError {
  return new MatrixError(400, 'M_UNKNOWN_POS', 'pos: this connection has expired; begin a new one')
}
