import { MatrixError } from '../core/errors.ts'
import { pingDatabase } from '../storage/engine/database.ts'
import { route } from './http/route.ts'

/**
 * Returns 200 if this process can work, and 503 while it stops or the database is unavailable. For load balancers and
 * containers.
 */
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
