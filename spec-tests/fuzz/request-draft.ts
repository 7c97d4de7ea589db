import type { Operation } from '../../testing/openapi/operations.ts'
import type { Draw } from './draw.ts'
import type { Actor, KnownRoom } from './known-values.ts'
import type { Kind } from './references.ts'

/** A request before its references are filled in. */
export type RequestDraft = {
  /** Of the path, not encoded. */
  params: Record<string, unknown>
  query: Record<string, unknown>
  /** A JSON body. */
  body?: unknown
  /** A body that is not JSON; it wins. */
  bytes?: string | Buffer
  headers: Record<string, string>
  /** Adds to the body what depends on ids that are filled in, such as a signature. */
  finish?: (body: unknown) => unknown
}

/** What a request is made from. */
export type Making = { draw: Draw; actor: Actor; room: KnownRoom; operation: Operation }

/** Parts of a draft with which an operation does something; they take the place of what the schema alone gives. */
export type Recipe = (making: Making) => Partial<RequestDraft>

/** A request as it is sent. */
export type FuzzRequest = {
  /** `METHOD /path` with `{parameters}`. */
  operation: string
  method: string
  path: string
  headers: Record<string, string>
  body?: string | Buffer
  /** Who sends it, for messages. */
  by: string
  /** What its path names, by kind. */
  named: readonly [Kind, string][]
  /** Whether something in it was made wrong. */
  isChanged: boolean
  /** Whether it may wait for something new: nobody waits for its answer for long. */
  isLongPoll: boolean
}
