import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import type { Session } from '../../http/route.ts'

/** `?ts=`: when an event of another network was really sent, in milliseconds since 1970. */
export const timestampQuery = z.object({ ts: z.union([z.string(), z.array(z.string())]).optional() })

/**
 * The time that an application service gives an event; other clients' parameter means nothing. Throws M_INVALID_PARAM for what is no time.
 * https://spec.matrix.org/v1.19/application-service-api/#timestamp-massaging
 */
export function timestampOf({ appservice }: Session, { ts }: z.output<typeof timestampQuery>): number | undefined {
  if (!appservice || ts === undefined) return undefined
  const time = typeof ts === 'string' && /^\d{1,16}$/.test(ts) ? Number(ts) : undefined
  if (time === undefined || !Number.isSafeInteger(time))
    throw new InvalidParamError('ts: is not a time in milliseconds')
  return time
}
