import { MatrixError } from '../core/errors.ts'
import { pingDatabase } from '../storage/engine/database.ts'
import { route } from './http/route.ts'

/** Whether this process can do its work: for load balancers and containers. 503 while it stops or the database is away. */
export const getHealth = route({
  method: 'GET',
  path: '/health',
  auth: 'none',
  rateLimit: 'none',
  async handle(_call, app) {
    if (app.stopping.aborted) throw new MatrixError(503, 'M_UNKNOWN', 'The server is stopping')
    try {
      await pingDatabase(app.database)
    } catch {
      throw new MatrixError(503, 'M_UNKNOWN', 'The database does not answer')
    }
    return { status: 'ok' }
  },
})
