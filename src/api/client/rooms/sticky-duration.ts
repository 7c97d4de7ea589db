import { z } from 'zod'
import { MAX_STICKY_MS } from '../../../core/events/sticky.ts'

const NAME = 'org.matrix.msc4354.sticky_duration_ms'

/** How long an event is to be sticky: https://github.com/matrix-org/matrix-spec-proposals/pull/4354 */
export const stickyQuery = z.object({ [NAME]: z.coerce.number().pipe(z.int().min(0).max(MAX_STICKY_MS)).optional() })

/** Returns the duration that a client sets for an event, in milliseconds. */
export function stickyDurationOf({ [NAME]: duration }: z.output<typeof stickyQuery>): { sticky?: number } {
  return duration === undefined ? {} : { sticky: duration }
}
