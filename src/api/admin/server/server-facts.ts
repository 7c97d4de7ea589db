import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import { HEARTH_VERSION } from '../../../infra/hearth-version.ts'
import { RECOUNT_ROOMS, recountRooms } from '../../../services/rooms/administration/recount-rooms.ts'
import { requireUnreserved } from '../../../services/users/reserved-names.ts'
import { requireAvailable, userIdForNewName } from '../../../services/users/user-names.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import { estimateRoomSizes } from '../../../storage/rooms/room-sizes.ts'
import { opaqueName, queryInteger } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { v1 } from '../admin-fields.ts'

const MAX_TASKS = 1000
const MAX_ROOMS = 10

/** Ketesa asks for it before its user has signed in. */
const getServerVersion = route({
  method: 'GET',
  path: v1('/server_version'),
  auth: 'none',
  handle: () => ({ server_version: `Hearth ${HEARTH_VERSION}` }),
})

const getUsernameAvailable = route({
  method: 'GET',
  path: v1('/username_available'),
  auth: 'admin',
  query: z.object({ username: z.string().max(255) }),
  async handle({ query }, app) {
    const userId = userIdForNewName(app, query.username)
    requireUnreserved(app, userId)
    await requireAvailable(app, userId)
    return { available: true }
  },
})

/** The rooms with the largest part of the database, as far as its statistics know them. */
const getRoomSizes = route({
  method: 'GET',
  path: v1('/statistics/database/rooms'),
  auth: 'admin',
  handle: async (_call, app) => ({ rooms: await estimateRoomSizes(app.database, MAX_ROOMS) }),
})

/** Migrations run when a process starts, so that no update is ever under way here. */
const getBackgroundUpdates = route({
  method: 'GET',
  path: v1('/background_updates/status'),
  auth: 'admin',
  handle: () => ({ enabled: true, current_updates: {} }),
})

const enabledPath = v1('/background_updates/enabled')

const getUpdatesEnabled = route({
  method: 'GET',
  path: enabledPath,
  auth: 'admin',
  handle: () => ({ enabled: true }),
})

const postUpdatesEnabled = route({
  method: 'POST',
  path: enabledPath,
  auth: 'admin',
  body: z.object({ enabled: z.boolean().default(true) }),
  handle({ body: { enabled } }) {
    if (!enabled) throw new InvalidParamError('Hearth has no background updates that could be stopped')
    return { enabled }
  },
})

/** Jobs that keep up what Hearth keeps up by itself. */
const NEEDLESS: Readonly<Record<string, string>> = {
  regenerate_directory: 'Hearth searches the profiles themselves, so there is no directory to regenerate',
  event_resign: 'Hearth signs no events again. Other servers verify old ones with the old keys, which it still serves.',
}

const postStartJob = route({
  method: 'POST',
  path: v1('/background_updates/start_job'),
  auth: 'admin',
  body: z.object({ job_name: z.enum([RECOUNT_ROOMS, ...Object.keys(NEEDLESS)]) }),
  async handle({ body: { job_name: name } }, app) {
    const reason = NEEDLESS[name]
    if (reason !== undefined) throw new InvalidParamError(reason)
    await recountRooms(app)
    return {}
  },
})

const statuses = z.enum(['scheduled', 'active', 'complete', 'failed', 'cancelled'])
const statusList = z.union([statuses.transform((status) => [status]), z.array(statuses)]).optional()
const actionList = z.union([opaqueName.transform((name) => [name]), z.array(opaqueName)]).optional()

const getScheduledTasks = route({
  method: 'GET',
  path: v1('/scheduled_tasks'),
  auth: 'admin',
  query: z.object({
    action_name: actionList,
    resource_id: opaqueName.optional(),
    status: statusList,
    job_status: statusList,
    max_timestamp: queryInteger.optional(),
  }),
  async handle({ query: { action_name: action = null, resource_id: resourceId = null, ...query } }, app) {
    const filter = { action, resourceId, statuses: query.status ?? query.job_status ?? null }
    const tasks = await listTasks(app.database, { ...filter, until: query.max_timestamp ?? null }, MAX_TASKS)
    return {
      scheduled_tasks: tasks.map((task) => ({
        ...{ id: task.task_id, action: task.action, status: task.status, timestamp_ms: task.changed_ts },
        ...{ resource_id: task.resource_id, result: JSON.parse(task.result), error: task.error },
      })),
    }
  },
})

export const serverFactEndpoints: readonly AnyEndpoint[] = [
  getServerVersion,
  getUsernameAvailable,
  getRoomSizes,
  getBackgroundUpdates,
  getUpdatesEnabled,
  postUpdatesEnabled,
  postStartJob,
  getScheduledTasks,
]
