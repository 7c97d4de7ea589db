import type { App } from '../../../app.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import { returnToAnswer, storeAnswers, type ToldAnswer } from '../../../storage/sync/sliding-connections.ts'

type Job = { answer: ToldAnswer; resolve(number: number | undefined): void; reject(error: unknown): void }
type Capabilities = Pick<App, 'database'>

/** Answers in one transaction. */
const MAX_BATCH = 200
const queues = new WeakMap<App['database'], { waiting: Job[]; isBusy: boolean }>()

/**
 * Stores an answer of sliding sync and returns its number, or undefined when the connection has gone on or ended
 * meanwhile. Answers that are ready at the same time, as a message to many makes them, share a transaction.
 */
export function storeAnswer(app: Capabilities, answer: ToldAnswer): Promise<number | undefined> {
  const queue = madeOnce(queues, app.database, () => ({ waiting: [], isBusy: false }))
  return new Promise((resolve, reject) => {
    queue.waiting.push({ answer, resolve, reject })
    if (queue.isBusy) return
    queue.isBusy = true
    setImmediate(() => work(app, queue))
  })
}

async function work(app: Capabilities, queue: { waiting: Job[]; isBusy: boolean }): Promise<void> {
  while (queue.waiting.length > 0) {
    const batch = takeBatch(queue)
    await storeBatch(app, batch).catch((error: unknown) => {
      for (const { reject } of batch) reject(error)
    })
  }
  queue.isBusy = false
}

/** One answer of a connection at a time. */
function takeBatch(queue: { waiting: Job[] }): Job[] {
  const batch = new Map<number, Job>()
  const rest: Job[] = []
  for (const job of queue.waiting) {
    const { connection } = job.answer
    if (batch.size < MAX_BATCH && !batch.has(connection)) batch.set(connection, job)
    else rest.push(job)
  }
  queue.waiting = rest
  return [...batch.values()]
}

async function storeBatch(app: Capabilities, batch: readonly Job[]): Promise<void> {
  const stored = await app.database.write((tx) =>
    storeAnswers(
      tx,
      batch.map(({ answer }) => answer),
    ),
  )
  for (const job of batch) {
    const number = stored.get(job.answer.connection)
    if (number !== undefined) job.resolve(number)
    else await storeAfterLost(app, job.answer).then(job.resolve, job.reject)
  }
}

/** Stores an answer in the place of one that the client did not get. */
function storeAfterLost(app: Capabilities, answer: ToldAnswer): Promise<number | undefined> {
  return app.database.write(async (tx) => {
    if (!(await returnToAnswer(tx, answer.connection, answer.base))) return undefined
    return (await storeAnswers(tx, [answer])).get(answer.connection)
  })
}
