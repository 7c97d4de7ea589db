import type { Shape } from './shape.ts'

/** Another request, most often one that is refused: what differs from the request of the row, and the answer. */
export type Refusal = { path?: string; body?: unknown; status: number; errcode: string }

/**
 * The promise of an endpoint. `{names}` in paths, bodies and keys of answers stand for objects of the world. A request
 * about a user or a room is also made for a remote user and for unknown ones, which are refused unless `remote` or
 * `unknown` have another status.
 */
export type Row = {
  /** Beside the path of the pair. */
  query?: string
  body?: unknown
  /** Default: 200. */
  status?: number
  answer?: Shape
  refused?: readonly Refusal[]
  /** The status for a remote user; default 400. */
  remote?: number
  /** The error code for a remote user; default M_INVALID_PARAM. */
  remoteCode?: string
  /** The status for an unknown user or room; default 404. Null: it is created. */
  unknown?: number | null
  /** Where Synapse differs deliberately: why, and the statuses there, or that nothing is asked. */
  synapse?: { why: string; remote?: number; unknown?: number; refusals?: 'other'; skipped?: true }
}

/** Rows by method and path: `GET v1/rooms/{room}`. */
export type Rows = Readonly<Record<string, Row>>

/** Ketesa sends it to every list, also where nothing of it is used. */
export const UNUSED = 'from=0&limit=10&order_by=id&dir=f'

export const BAD_JSON = 'M_BAD_JSON'
export const INVALID = 'M_INVALID_PARAM'
export const MISSING = 'M_MISSING_PARAM'
export const NOT_FOUND = 'M_NOT_FOUND'
