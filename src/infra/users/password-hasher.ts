import { hash, verify } from '@node-rs/argon2'
import type { Config } from '../../config.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'

export type PasswordHasher = {
  /** Returns an Argon2id hash in PHC format, with the configured costs. */
  hash(password: string): Promise<string>
  /** Verifies a password. Takes as long without a hash, so that the time does not reveal whether a user exists. */
  verify(hash: string | null | undefined, password: string): Promise<boolean>
}

/**
 * The maximum password length, in UTF-16 code units. Normalising and hashing megabytes would block the main thread for
 * seconds.
 */
export const MAX_PASSWORD_LENGTH = 1024

/** The number of concurrent hashes, so that logins use neither all memory nor all threads; others queue. */
const CONCURRENCY = 2

/** Hashes passwords off the main thread. */
export function createPasswordHasher(costs: Config['passwords']): PasswordHasher {
  const options = { memoryCost: costs.memory_kib, timeCost: costs.iterations, parallelism: costs.parallelism }
  const queued = createConcurrencyLimit(CONCURRENCY)
  let nobodys: Promise<string> | undefined

  return {
    hash: (password) => queued(() => hash(normalize(password), options)),
    async verify(known, password) {
      nobodys ??= queued(() => hash('', options))
      const against = known ?? (await nobodys)
      const isTooLong = password.length > MAX_PASSWORD_LENGTH
      const given = isTooLong ? '' : normalize(password)
      const matches = await queued(() => verify(against, given).catch(() => false))
      return matches && known != null && !isTooLong
    },
  }
}

/** Keyboards compose letters differently; normalisation makes the results equal. */
function normalize(password: string): string {
  return password.normalize('NFKC')
}
