import type { Database, Tx } from '../../storage/engine/database.ts'
import { beginTask, type NewTask } from '../../storage/jobs/tasks.ts'
import type { Clock } from '../clock.ts'
import type { Random } from '../random.ts'
import type { JobRunner } from './job-runner.ts'

const ID_LENGTH = 16

/** Returns a random ID for a new task. */
export function newTaskId({ random }: { random: Random }): string {
  return random.token(ID_LENGTH)
}

type Capabilities = { database: Database; clock: Clock; random: Random; jobs: Pick<JobRunner, 'begin'> }

/**
 * Stores a task and starts its job without waiting for it, when this process has capacity. `before` runs first in the
 * same transaction; if it throws, there is no task. Returns the ID of the task, and the job.
 */
export async function startTask(
  app: Capabilities,
  task: Omit<NewTask, 'taskId'>,
  before: (tx: Tx, now: number) => Promise<void> = async () => {},
): Promise<{ taskId: string; job: number }> {
  const taskId = newTaskId(app)
  const now = app.clock.now()
  const job = await app.database.write(async (tx) => {
    await before(tx, now)
    return beginTask(tx, { ...task, taskId, now })
  })
  app.jobs.begin(job, { whenFree: true })
  return { taskId, job }
}
