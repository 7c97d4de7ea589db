import type { Operation } from '../../testing/openapi/operations.ts'
import type { Draw } from './draw.ts'
import type { Actor, KnownRoom } from './known-values.ts'
import type { Kind } from './references.ts'

/** A request before its references are replaced. */
export type RequestDraft = {
  /** Path parameters, not encoded. */
  params: Record<string, unknown>
  query: Record<string, unknown>
  /** A JSON body. */
  body?: unknown
  /** A body that is not JSON; takes precedence. */
  bytes?: string | Buffer
  headers: Record<string, string>
  /** Adds fields to the body that depend on replaced IDs, such as a signature. */
  finish?: (body: unknown) => unknown
}

/** The input for making a request. */
export type Making = { draw: Draw; actor: Actor; room: KnownRoom; operation: Operation }

/** Parts of a draft with which an operation has an effect; they replace what the schema alone generates. */
export type Recipe = (making: Making) => Partial<RequestDraft>

/** A request as sent. */
export type FuzzRequest = {
  /** `METHOD /path` with `{parameters}`. */
  operation: string
  method: string
  path: string
  headers: Record<string, string>
  body?: string | Buffer
  /** The sender, for messages. */
  by: string
  /** The values in its path, by kind. */
  named: readonly [Kind, string][]
  /** Whether it was made invalid. */
  isChanged: boolean
  /** Whether it may long-poll: its response is not awaited for long. */
  isLongPoll: boolean
}
