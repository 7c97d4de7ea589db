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
   * Counts a request of a subject (a user id, an address or a server), or one with the weight `count`. `rate` replaces
   * the category's for the subject. Throws M_LIMIT_EXCEEDED, with `retry_after_ms` unless the weight exceeds the burst.
   */
  take(category: string, subject: string, how?: { count?: number; rate?: Rate | undefined }): Promise<void>
  stop(): Promise<void>
}

/** A hash replaces a key that cannot be stored in an index, such as a malformed user name of a login. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

/** `unshared`: requests that are not yet added to the shared bucket. */
type Bucket = { fullAt: number; unshared: number }

/**
 * Categories that are counted in the database immediately: attackers could use several processes in parallel to guess
 * passwords or to create accounts.
 */
const STRICT: readonly string[] = ['login', 'second_factor', 'user_code', 'registration', 'text_message']
/** The interval at which counts are added to the shared buckets. */
const SHARE_MS = 200
/** A process keeps a twentieth of a burst local, so that light users cost no writes. */
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
 * Rate limits by category that hold over all processes. Each process counts locally, and adds its counts to shared
 * buckets in the database in batches, a few times a second at most; the result contains the counts of the others. If
 * several processes together admit more than the limit in between, the user waits for it afterwards. The embedded
 * database has one process, which knows everything.
 */
export function createRateLimiter(parts: Parts): RateLimiter {
  const { rates, database, clock, logger } = parts
  const isShared = database.engine === 'postgresql'
  const buckets = createGrowingCache<string, Bucket>(KEPT_BUCKETS)
  const takeFromAll = createStrictTaking(parts)
  const addTogether = createAdding(parts)
  const toShare = new Map<string, Rate>()
  let timer: NodeJS.Timeout | undefined
  let sharing = Promise.resolve()

  function takeHere(key: string, rate: Rate, count: number): void {
    const now = clock.now()
    const bucket = buckets.get(key) ?? { fullAt: now, unshared: 0 }
    // Older counts are already part of every process's bucket.
    if (bucket.fullAt + depthOf(rate) < now) bucket.unshared = 0
    const taken = takeFrom(rate, bucket.fullAt, { now, count })
    if ('wait' in taken) throw tooMany(taken.wait)
    bucket.fullAt = taken.fullAt
    bucket.unshared += count
    buckets.set(key, bucket)
    if (isShared && bucket.unshared >= rate.burst / KEPT_SHARE) shareSoon(key, rate)
  }

  function shareSoon(key: string, rate: Rate): void {
    toShare.set(key, rate)
    timer ??= setTimeout(() => {
      timer = undefined
      sharing = sharing
        .then(() => share({ buckets, toShare, addTogether, clock }))
        .catch((error) => logger.warn({ err: error }, 'sharing of rate limits failed, will retry'))
    }, SHARE_MS).unref()
  }

  return {
    async take(category, subject, { count = 1, rate: own } = {}) {
      const rate = rates[category] && (own ?? rates[category])
      if (!rate || count === 0) return
      if (count > rate.burst) throw neverEnough(category, rate)
      const key = `${category} ${isStorableName(subject) ? subject : hashOf(subject)}`
      if (isShared && STRICT.includes(category)) await takeFromAll(key, rate, count)
      else takeHere(key, rate, count)
    },
    async stop() {
      clearTimeout(timer)
      await sharing
    },
  }
}

/** Counts in the database immediately. */
function createStrictTaking({ database, clock }: Parts) {
  /** Until when the database has refused, so that further requests after a refusal need no query. */
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

/** Adds to the shared buckets, and deletes full ones now and then. */
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

type Unshared = {
  buckets: { get(key: string): Bucket | undefined }
  toShare: Map<string, Rate>
  addTogether: Adding
  clock: Clock
}

/** Adds this process's counts to the shared buckets, and reads the counts of the others. */
async function share({ buckets, toShare, addTogether, clock }: Unshared): Promise<void> {
  const shared = [...toShare].flatMap(([key, rate]) => {
    const bucket = buckets.get(key)
    return bucket ? [{ key, rate, bucket, count: bucket.unshared }] : []
  })
  toShare.clear()
  for (const { bucket } of shared) bucket.unshared = 0
  try {
    const missing = await addTogether(new Map(shared.map(({ key, rate, count }) => [key, count * costOf(rate)])))
    const now = clock.now()
    for (const { key, rate, bucket } of shared) {
      bucket.fullAt = Math.max(bucket.fullAt, now + missing.get(key)! + bucket.unshared * costOf(rate))
    }
  } catch (error) {
    for (const { bucket, count } of shared) bucket.unshared += count
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
