import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import type { Session } from '../../http/route.ts'

/** `?ts=`: when an event was originally sent on a third-party network, in milliseconds since 1970. */
export const timestampQuery = z.object({ ts: z.union([z.string(), z.array(z.string())]).optional() })

/**
 * Returns the timestamp that an application service sets for an event; undefined for other clients, whose parameter is
 * ignored. Throws M_INVALID_PARAM for malformed timestamps.
 * https://spec.matrix.org/v1.19/application-service-api/#timestamp-massaging
 */
export function timestampOf({ appservice }: Session, { ts }: z.output<typeof timestampQuery>): number | undefined {
  if (!appservice || ts === undefined) return undefined
  const time = typeof ts === 'string' && /^\d{1,16}$/.test(ts) ? Number(ts) : undefined
  if (time === undefined || !Number.isSafeInteger(time))
    throw new InvalidParamError('ts: is not a time in milliseconds')
  return time
}
