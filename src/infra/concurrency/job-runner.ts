import { setTimeout as pause } from 'node:timers/promises'
import type { Json } from '../../core/pdu.ts'
import type { Database } from '../../storage/engine/database.ts'
import { finishJob, isJobPending, leaseJobs, postponeJob, releaseJob, renewJobLeases } from '../../storage/jobs/jobs.ts'
import type { JobRow } from '../../storage/schema/jobs.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Random } from '../random.ts'
import { type ActiveWork, createActiveWork } from './active-work.ts'
import { jitteredBackOff } from './back-off.ts'
import { type LeasedWorker, startLeasedWorker } from './leased-worker.ts'
import { createLeases, type Leases } from './leases.ts'

/** The outcome of a job: done, or to be run again at a time (milliseconds since 1970). */
export type JobOutcome = { again: number } | undefined

/** The handlers by kind of job. A handler must be idempotent: a process may have died after performing it. */
export type JobHandlers = Readonly<Record<string, (payload: Json) => Promise<JobOutcome> | Promise<void>>>

/** Runs the jobs in the database: each in one process at a time, and again if it fails or its process dies. */
export type JobRunner = {
  /** Starts to run jobs, including those of dead processes; `onlyBegun`: only those of `attend` and `begin`. */
  start(handlers: JobHandlers, options?: { onlyBegun?: boolean }): void
  /**
   * Runs a job that has just been committed, unless another process does, and waits at most two seconds for its end;
   * after that it continues in the background.
   */
  attend(jobNid: number): Promise<void>
  /**
   * Starts a job that has just been committed, without waiting for it. `whenFree`: only if fewer jobs run than a process
   * runs at once, otherwise when one of them ends; for long jobs, of which somebody may request many together.
   */
  begin(jobNid: number, options?: { whenFree: boolean }): void
  /** Waits for running jobs; `app.stopping` tells handlers to give up, and another process continues. */
  stop(): Promise<void>
}

type Capabilities = {
  database: Database
  clock: Clock
  random: Random
  logger: Logger
  stopping: AbortSignal
}

const LOOK_MS = 1000
/** After this time other processes take over the jobs of a dead process. */
const LEASE_MS = 6000
const AT_ONCE = 4
const FAILURE = 'acquiring of jobs failed, will retry'
const PATIENCE_MS = 2000
const ATTENDING_PAUSE_MS = 20
const BACK_OFF = { first: 2000, longest: 60 * 60_000 }
/** About four days with the back-off; after that the job is dropped. */
const MOST_ATTEMPTS = 100

/** Creates the runner; it does nothing before `start`. */
export function createJobRunner(app: Capabilities): JobRunner {
  const leases = createLeases(app, LEASE_MS)
  const active: ActiveWork<number, undefined> = createActiveWork()
  const looks = new Set<Promise<void>>()
  /** The jobs to look for; undefined: all. */
  let begun: Set<number> | undefined
  let handlers: JobHandlers = {}
  let worker: LeasedWorker | undefined

  /** Tracked, so that `stop` waits for jobs that are being acquired. */
  function take(only?: number): Promise<void> {
    if (only !== undefined) begun?.add(only)
    const look = lookForJobs(only).finally(() => looks.delete(look))
    looks.add(look)
    return look
  }

  async function lookForJobs(only: number | undefined): Promise<void> {
    const free = AT_ONCE - active.size
    if (app.stopping.aborted || !worker || (free <= 0 && only === undefined)) return
    const lease = { ...leases.next(), limit: Math.max(1, free), only }
    const jobs = await app.database.write((tx) => leaseJobs(tx, lease))
    for (const job of jobs) active.begin(job.job_nid, undefined, () => runJob(app, handlers, job).finally(turns.next))
  }

  const turns = createTurns({
    isFull: (acquiring) => active.size + acquiring >= AT_ONCE,
    take,
    wait: (jobNid) => begun?.add(jobNid),
    // The job that has ended counts as active for another moment.
    lookAgain: () => worker?.within(0),
  })

  return {
    start(given, { onlyBegun = false } = {}) {
      handlers = given
      begun = onlyBegun ? new Set() : undefined
      worker = startLeasedWorker(app, {
        failure: FAILURE,
        lookEvery: LOOK_MS,
        firstLook: LOOK_MS,
        look: () => (begun ? Promise.all([...begun].map(turns.take)) : take()),
        renew: { leaseMs: leases.ms, run: () => renew(app, leases, active.keys()) },
        active,
      })
    },
    begin(jobNid, { whenFree } = { whenFree: false }) {
      const taken = whenFree ? turns.take(jobNid) : take(jobNid)
      taken.catch((error) => app.logger.warn({ err: error }, FAILURE))
    },
    attend: (jobNid) => attendJob(app, { take, ended: active.ended, isRunning: () => worker !== undefined }, jobNid),
    async stop() {
      const stopped = worker
      worker = undefined
      await Promise.allSettled(looks)
      await stopped?.stop()
    },
  }
}

type Attending = {
  take(jobNid: number): Promise<void>
  /** As `ActiveWork.ended`. */
  ended(jobNid: number): Promise<void> | undefined
  isRunning(): boolean
}

async function attendJob(app: Capabilities, { take, ended, isRunning }: Attending, jobNid: number): Promise<void> {
  await take(jobNid)
  const patience = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), app.stopping])
  while (isRunning() && !patience.aborted) {
    const own = ended(jobNid)
    if (own) await Promise.race([own, pause(PATIENCE_MS, undefined, { signal: patience }).catch(() => {})])
    if (!(await isJobPending(app.database, jobNid))) return
    await pause(ATTENDING_PAUSE_MS)
    await take(jobNid)
  }
}

/** Keeps jobs that may wait within the capacity of the process. */
function createTurns({
  isFull,
  take,
  wait,
  lookAgain,
}: {
  isFull(acquiring: number): boolean
  take(jobNid: number): Promise<void>
  /** Notes a job that waits. */
  wait(jobNid: number): void
  lookAgain(): void
}) {
  let acquiring = 0
  let isWaiting = false
  return {
    /** Takes a job, unless the process is full: then one that ends has others looked for. */
    async take(jobNid: number): Promise<void> {
      if (isFull(acquiring)) {
        isWaiting = true
        wait(jobNid)
        return
      }
      acquiring++
      await take(jobNid).finally(() => acquiring--)
    },
    /** A job has ended. */
    next(): void {
      if (!isWaiting) return
      isWaiting = false
      lookAgain()
    },
  }
}

async function renew(app: Capabilities, leases: Leases, jobNids: readonly number[]): Promise<void> {
  await app.database.write((tx) => renewJobLeases(tx, { ...leases.next(), jobNids }))
}

async function runJob(app: Capabilities, handlers: JobHandlers, job: JobRow): Promise<void> {
  try {
    const handle = handlers[job.kind]
    if (!handle) throw new Error(`this version of Hearth knows no job ${job.kind}`)
    const outcome = await handle(JSON.parse(job.payload))
    await app.database.write((tx) => (outcome ? postponeJob(tx, job, outcome.again) : finishJob(tx, job)))
  } catch (error) {
    await giveBack(app, job, error).catch((fault) =>
      app.logger.error({ err: fault }, 'release of job lease failed, lease will expire'),
    )
  }
}

async function giveBack(app: Capabilities, job: JobRow, error: unknown): Promise<void> {
  if (app.stopping.aborted) return app.database.write((tx) => releaseJob(tx, job))
  if (job.attempts >= MOST_ATTEMPTS) {
    app.logger.error({ err: error, job: job.kind, key: job.key }, 'job failed too often, dropped')
    return app.database.write((tx) => finishJob(tx, job))
  }
  app.logger.warn({ err: error, job: job.kind, key: job.key }, 'job failed, will retry')
  const until = app.clock.now() + jitteredBackOff(job.attempts, BACK_OFF, app.random)
  await app.database.write((tx) => releaseJob(tx, job, until))
}
