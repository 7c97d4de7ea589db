import type { App } from '../../../app.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import { returnToAnswer, storeAnswers, type ToldAnswer } from '../../../storage/sync/sliding-connections.ts'

type Job = { answer: ToldAnswer; resolve(number: number | undefined): void; reject(error: unknown): void }
type Capabilities = Pick<App, 'database'>

/** Responses per transaction. */
const MAX_BATCH = 200
const queues = new WeakMap<App['database'], { waiting: Job[]; isBusy: boolean }>()

/**
 * Stores a sliding sync response and returns its number; undefined if the connection has advanced or ended in the
 * meantime. Responses that are ready at the same time, as after a message to many users, share a transaction.
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

/** Takes one response per connection. */
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

/** Stores a response in place of one that the client lost. */
function storeAfterLost(app: Capabilities, answer: ToldAnswer): Promise<number | undefined> {
  return app.database.write(async (tx) => {
    if (!(await returnToAnswer(tx, answer.connection, answer.base))) return undefined
    return (await storeAnswers(tx, [answer])).get(answer.connection)
  })
}
