import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import { listRecentAlerts } from '../../../services/figures/keep-alerts.ts'
import {
  FIGURE_RANGES,
  type FigureRange,
  isStepLength,
  MOST_STEPS,
  readFigures,
  spanOfRange,
} from '../../../services/figures/read-figures.ts'
import { readStatistics } from '../../../services/figures/statistics.ts'
import { queryInteger } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, listPage } from '../admin-fields.ts'

/** Figures of days are kept for a little longer. */
const MOST_DAYS = 366

const ranges = Object.keys(FIGURE_RANGES) as [FigureRange, ...FigureRange[]]

/** Load of the server over time. */
const getFigures = route({
  method: 'GET',
  path: hearthV1('/figures'),
  auth: 'admin',
  query: z.object({
    of: z.enum(['load', 'routes', 'clients', 'peers']).default('load'),
    range: z.enum(ranges).default('hour'),
    from: queryInteger.optional(),
    to: queryInteger.optional(),
    step: queryInteger
      .pipe(
        z
          .int()
          .min(10)
          .max(MOST_DAYS * 86_400),
      )
      .optional(),
    each_process: z.enum(['true', 'false']).default('false'),
    process: queryInteger.optional(),
    top: queryInteger.pipe(z.int().min(1).max(24)).optional(),
  }),
  handle({ query: { of, range, each_process, process, top, ...asked } }, app) {
    const usual = spanOfRange(app, range)
    const { from = usual.from, to = usual.to, step = usual.step } = asked
    if (!isStepLength(step)) throw new InvalidParamError('step must be a multiple of 10 seconds')
    if (from >= to) throw new InvalidParamError('from must be before to')
    if ((to - from) / (step * 1000) > MOST_STEPS)
      throw new InvalidParamError(`These are more than ${MOST_STEPS} steps. Request a longer step or a shorter span.`)
    const detail = { eachProcess: each_process === 'true', process, ...(top !== undefined && { top }) }
    return readFigures(app, { of, from, to, step, ...detail })
  },
})

/** The alerts that hold, then those that have ended. */
const getAlerts = route({
  method: 'GET',
  path: hearthV1('/alerts'),
  auth: 'admin',
  query: listPage.pick({ limit: true }),
  handle: async ({ query: { limit } }, app) => ({ alerts: await listRecentAlerts(app, limit) }),
})

/** Users, messages, joins and registrations by day, and the sizes of tables and rooms. */
const getStatistics = route({
  method: 'GET',
  path: hearthV1('/statistics'),
  auth: 'admin',
  query: z.object({ days: queryInteger.pipe(z.int().min(1).max(MOST_DAYS)).default(30) }),
  handle: ({ query: { days } }, app) => readStatistics(app, days),
})

export const figureEndpoints: readonly AnyEndpoint[] = [getFigures, getAlerts, getStatistics]
