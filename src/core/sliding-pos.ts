import { MatrixError } from './errors.ts'

/** Where a connection of sliding sync stands: which answer of which connection the client has, and the stream position of that. */
export type SlidingPos = { connection: number; answer: number; position: number }

/** The `pos` of an answer. The `1` is the version of the format. */
export function slidingPos({ connection, answer, position }: SlidingPos): string {
  return `l1_${connection}_${answer}_${position}`
}

/** What a `pos` says. Throws M_UNKNOWN_POS for what is none of this server. */
export function parseSlidingPos(pos: string): SlidingPos {
  const [, connection, answer, position] = /^l1_(\d{1,15})_(\d{1,15})_(\d{1,15})$/.exec(pos) ?? []
  if (position === undefined) throw unknownPos()
  return { connection: Number(connection), answer: Number(answer), position: Number(position) }
}

/** 400: the connection has expired, or never was; the client has to begin a new one. */
export function unknownPos(): MatrixError {
  return new MatrixError(400, 'M_UNKNOWN_POS', 'pos: this connection has expired; begin a new one')
}
