import type { Database } from '../../../storage/engine/database.ts'
import { returnToAnswer, type SentAnswer, storeAnswers } from '../../../storage/sync/sliding-connections.ts'

type Job = { answer: SentAnswer; resolve(number: number | undefined): void; reject(error: unknown): void }

/** Responses per transaction. */
const MAX_BATCH = 200

/** Stores the sliding sync responses of a process. */
export type SlidingAnswers = {
  /**
   * Stores a response and returns its number; undefined if the connection has advanced or ended in the meantime.
   * Responses that are ready at the same time, as after a message to many users, share a transaction.
   */
  store(answer: SentAnswer): Promise<number | undefined>
}

type Queue = { waiting: Job[]; isBusy: boolean }

export function createSlidingAnswers(database: Database): SlidingAnswers {
  const queue: Queue = { waiting: [], isBusy: false }
  return {
    store(answer) {
      return new Promise((resolve, reject) => {
        queue.waiting.push({ answer, resolve, reject })
        if (queue.isBusy) return
        queue.isBusy = true
        setImmediate(() => work(database, queue))
      })
    },
  }
}

async function work(database: Database, queue: Queue): Promise<void> {
  while (queue.waiting.length > 0) {
    const batch = takeBatch(queue)
    await storeBatch(database, batch).catch((error: unknown) => {
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

async function storeBatch(database: Database, batch: readonly Job[]): Promise<void> {
  const stored = await database.write((tx) =>
    storeAnswers(
      tx,
      batch.map(({ answer }) => answer),
    ),
  )
  for (const job of batch) {
    const number = stored.get(job.answer.connection)
    if (number !== undefined) job.resolve(number)
    else await storeAfterLost(database, job.answer).then(job.resolve, job.reject)
  }
}

/** Stores a response in place of one that the client lost. */
function storeAfterLost(database: Database, answer: SentAnswer): Promise<number | undefined> {
  return database.write(async (tx) => {
    if (!(await returnToAnswer(tx, answer.connection, answer.base))) return undefined
    return (await storeAnswers(tx, [answer])).get(answer.connection)
  })
}
