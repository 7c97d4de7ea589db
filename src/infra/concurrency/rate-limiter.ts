import { createHash } from 'node:crypto'
import { MatrixError } from '../../core/errors.ts'
import { isStorableName } from '../../core/ids.ts'
import { costOf, depthOf, type Rate, takeFrom } from '../../core/rate-bucket.ts'
import type { Database } from '../../storage/engine/database.ts'
import { addToRateLimits, forgetFullRateLimits, takeFromRateLimit } from '../../storage/engine/rate-limits.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { createGrowingCache } from './growing-cache.ts'

export type RateLimiter = {
  /**
   * Counts a request of `who` (a user id, an address or a server), or one that counts for `count`. Throws M_LIMIT_EXCEEDED, with `retry_after_ms`
   * unless it counts for more than there ever is.
   */
  take(category: string, who: string, count?: number): Promise<void>
  stop(): Promise<void>
}

/** What stands for a name that the database cannot find by an index, such as one that somebody tries to log in with. */
function hashOf(who: string): string {
  return createHash('sha256').update(who).digest('base64url')
}

/** `untold`: how many requests the other processes have not been told of. */
type Bucket = { fullAt: number; untold: number }

/** What is counted in the database at once, as guessing passwords and making accounts is worth the while of those who ask several processes at the same moment. */
const STRICT: readonly string[] = ['login', 'registration']
/** For how long other processes may not know what this one has counted. */
const TELL_MS = 200
/** A process keeps a twentieth of a burst to itself, so that those who ask for little cost no writing. */
const KEPT_SHARE = 20
const KEPT_BUCKETS = 200_000
const FORGET_MS = 60_000

type Parts = {
  rates: Readonly<Record<string, Rate>>
  database: Database
  clock: Clock
  logger: Logger
}

/**
 * Limits by category that hold over all processes. Each counts for itself, and adds what it has counted to common buckets in the database, all at once and
 * after the requests, a few times a second at most; from there it learns what the others have counted. What a burst to several processes gets too
 * much meanwhile it has to wait for afterwards. The embedded database has one process, which knows all.
 */
export function createRateLimiter(parts: Parts): RateLimiter {
  const { rates, database, clock, logger } = parts
  const isShared = database.engine === 'postgresql'
  const buckets = createGrowingCache<string, Bucket>(KEPT_BUCKETS)
  const takeFromAll = createStrictTaking(parts)
  const addTogether = createAdding(parts)
  const toTell = new Map<string, Rate>()
  let timer: NodeJS.Timeout | undefined
  let telling = Promise.resolve()

  function takeHere(key: string, rate: Rate, count: number): void {
    const now = clock.now()
    const bucket = buckets.get(key) ?? { fullAt: now, untold: 0 }
    // As long ago as that, nothing of it is missing anywhere.
    if (bucket.fullAt + depthOf(rate) < now) bucket.untold = 0
    const taken = takeFrom(rate, bucket.fullAt, { now, count })
    if ('wait' in taken) throw tooMany(taken.wait)
    bucket.fullAt = taken.fullAt
    bucket.untold += count
    buckets.set(key, bucket)
    if (isShared && bucket.untold >= rate.burst / KEPT_SHARE) tellSoon(key, rate)
  }

  function tellSoon(key: string, rate: Rate): void {
    toTell.set(key, rate)
    timer ??= setTimeout(() => {
      timer = undefined
      telling = telling
        .then(() => tell({ buckets, toTell, addTogether, clock }))
        .catch((error) => logger.warn({ err: error }, 'sharing rate limits failed; it is tried again'))
    }, TELL_MS).unref()
  }

  return {
    async take(category, who, count = 1) {
      const rate = rates[category]
      if (!rate || count === 0) return
      if (count > rate.burst) throw neverEnough(category, rate)
      const key = `${category} ${isStorableName(who) ? who : hashOf(who)}`
      if (isShared && STRICT.includes(category)) await takeFromAll(key, rate, count)
      else takeHere(key, rate, count)
    },
    async stop() {
      clearTimeout(timer)
      await telling
    },
  }
}

/** Counts in the database at once. */
function createStrictTaking({ database, clock }: Parts) {
  /** Until when the database has refused more, so that who goes on after a refusal costs it nothing. */
  const refused = createGrowingCache<string, number>(KEPT_BUCKETS)
  return async (key: string, rate: Rate, count: number): Promise<void> => {
    const now = clock.now()
    const until = refused.get(key) ?? now
    if (until > now) throw tooMany(until - now)
    const refusal = await database.writeLazily((tx) =>
      takeFromRateLimit(tx, { key, cost: count * costOf(rate), depth: depthOf(rate) }),
    )
    if (!refusal) return
    refused.set(key, now + refusal.wait)
    throw tooMany(refusal.wait)
  }
}

type Adding = (costs: ReadonlyMap<string, number>) => Promise<Map<string, number>>

/** Adds to the common buckets, and forgets full ones now and then. */
function createAdding({ database, clock }: Parts): Adding {
  let forgotten = clock.now()
  return (costs) =>
    database.writeLazily(async (tx) => {
      if (clock.now() - forgotten > FORGET_MS) {
        forgotten = clock.now()
        await forgetFullRateLimits(tx)
      }
      return addToRateLimits(tx, costs)
    })
}

type Untold = {
  buckets: { get(key: string): Bucket | undefined }
  toTell: Map<string, Rate>
  addTogether: Adding
  clock: Clock
}

/** Adds what this process has counted to the common buckets, and learns what the others have counted. */
async function tell({ buckets, toTell, addTogether, clock }: Untold): Promise<void> {
  const told = [...toTell].flatMap(([key, rate]) => {
    const bucket = buckets.get(key)
    return bucket ? [{ key, rate, bucket, count: bucket.untold }] : []
  })
  toTell.clear()
  for (const { bucket } of told) bucket.untold = 0
  try {
    const missing = await addTogether(new Map(told.map(({ key, rate, count }) => [key, count * costOf(rate)])))
    const now = clock.now()
    for (const { key, rate, bucket } of told) {
      bucket.fullAt = Math.max(bucket.fullAt, now + missing.get(key)! + bucket.untold * costOf(rate))
    }
  } catch (error) {
    for (const { bucket, count } of told) bucket.untold += count
    throw error
  }
}

function neverEnough(category: string, { burst }: Rate): MatrixError {
  const message = `A request counts for ${burst} at most (rate_limits.${category}): do the rest later`
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', message)
}

function tooMany(wait: number): MatrixError {
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many requests', { retry_after_ms: Math.max(1, Math.ceil(wait)) })
}
