import { hash, verify } from '@node-rs/argon2'
import type { Config } from '../../config.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'

export type PasswordHasher = {
  /** Argon2id in PHC format, with the configured costs. */
  hash(password: string): Promise<string>
  /** Whether it is the password of that hash. Takes as long when there is no hash, so that the time does not tell whether a user exists. */
  verify(hash: string | null | undefined, password: string): Promise<boolean>
}

/** The longest password, in UTF-16 code units. To normalise and hash megabytes would take seconds of the main thread. */
export const MAX_PASSWORD_LENGTH = 1024

/** How many passwords are hashed at a time, so that logins take neither all the memory nor the whole thread pool; the others queue. */
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

/** Keyboards differ in how they compose letters; the person typed the same. */
function normalize(password: string): string {
  return password.normalize('NFKC')
}
