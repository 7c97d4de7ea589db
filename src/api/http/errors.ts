import type { ZodError, z } from 'zod'
import { BadJsonError, InvalidParamError, MatrixError, MissingParamError, NotFoundError } from '../../core/errors.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { outageError } from '../../infra/outage.ts'
import { brokenReference, refusesText } from '../../storage/engine/database.ts'
import type { ErrorAnswer } from './route.ts'

/** Maps a thrown error to that of a remote server if it came from one: refusals are passed on, failures become 502. */
export function blameOthers(error: unknown): unknown {
  return error instanceof FederationError ? error.toMatrixError() : error
}

/**
 * Maps a thrown error to a client error where the request caused it. Text of any endpoint can hold a NUL, which only
 * the database rejects; that stays a fault of this server unless the request itself holds the NUL. Another request may
 * also have deleted a referenced row, mostly the client's own device.
 *
 * @param url Path and query of the request.
 * @param body Its parsed body, if it has one.
 */
export function blameRequest(error: unknown, { url, body }: { url: string; body: unknown }): unknown {
  const reference = brokenReference(error)
  if (reference !== undefined) return deletedMeanwhile(reference)
  const isOfRequest = refusesText(error) && (url.includes('%00') || JSON.stringify(body)?.includes('\\u0000'))
  return isOfRequest ? new InvalidParamError('Text cannot contain the character NUL') : error
}

function deletedMeanwhile(foreignKey: string): MatrixError {
  if (!/device_id|token_hash/.test(foreignKey)) return new NotFoundError('The referenced object was just deleted')
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The device was logged out', { soft_logout: false })
}

/**
 * Returns the response for any thrown error: 503 for an outage of the disk or the database. Any other error that is not
 * a MatrixError is a fault of this server: 500, without details.
 */
export function errorResponse(error: unknown): ErrorAnswer {
  const known = error instanceof MatrixError ? error : outageError(error)
  if (!known) return { status: 500, body: { errcode: 'M_UNKNOWN', error: 'Internal server error' }, headers: {} }
  const retryAfter = known.extra.retry_after_ms
  const headers: Record<string, string> =
    typeof retryAfter === 'number' ? { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter / 1000))) } : {}
  return { status: known.status, body: known.toJSON(), headers }
}

/** Validates one part of a request. Throws an error that names the invalid field. */
export function parsePart<Schema extends z.ZodType>(
  part: 'path' | 'query' | 'body',
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw partError(part, result.error, value)
}

function partError(part: 'path' | 'query' | 'body', error: ZodError, value: unknown): MatrixError {
  const issue = error.issues[0]
  if (!issue) return new BadJsonError(`The ${part} is not valid`)
  const name = issue.path.join('.')
  const message = name === '' ? `The ${part} ${issue.message}` : `${name}: ${issue.message}`
  const missing = name !== '' && !isPresent(value, issue.path)
  if (missing) return new MissingParamError(message)
  const isOwn = issue.code === 'custom' && issue.params?.errcode === 'M_INVALID_PARAM'
  return part === 'body' && !isOwn ? new BadJsonError(message) : new InvalidParamError(message)
}

function isPresent(value: unknown, path: readonly PropertyKey[]): boolean {
  let current: unknown = value
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !(key in current)) return false
    current = (current as Record<PropertyKey, unknown>)[key]
  }
  return current !== undefined
}
