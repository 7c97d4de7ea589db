import { hash, verify } from '@node-rs/argon2'
import { verify as verifyBcrypt } from '@node-rs/bcrypt'
import type { Config } from '../../config.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'

export type PasswordHasher = {
  /** Returns an Argon2id hash in PHC format, with the configured costs. */
  hash(password: string): Promise<string>
  /**
   * Verifies a password against an Argon2 hash, or against an imported bcrypt or Argon2 hash. Takes as long without a hash, so
   * that the time does not reveal whether a user exists.
   */
  verify(hash: string | null | undefined, password: string): Promise<boolean>
}

/** Whether a hash was imported: it should be replaced as soon as the password is known. */
export function isImportedHash(hash: string): boolean {
  return BCRYPT.test(hash) || hash.startsWith(SECRET_HASH)
}

/** Returns the form in which an Argon2 hash is stored that needs the secret of the server from which it was imported. */
export function hashWithSecret(hash: string): string {
  return SECRET_HASH + hash
}

/** Secrets besides the password in hashes that this server verifies. */
export type ImportedSecrets = {
  /** Follows the password in bcrypt hashes. */
  pepper?: string | undefined
  /** The secret of Argon2 hashes, in base64. */
  argon2?: string | undefined
}

const SECRET_HASH = '$secret'
const BCRYPT = /^\$2[abxy]\$/
/** bcrypt ignores all further bytes. */
const BCRYPT_BYTES = 72

/**
 * The maximum password length, in UTF-16 code units. Normalising and hashing megabytes would block the main thread for
 * seconds.
 */
export const MAX_PASSWORD_LENGTH = 1024

/** The number of concurrent hashes, so that logins use neither all memory nor all threads; others queue. */
const CONCURRENCY = 2

/** Hashes passwords off the main thread. */
export function createPasswordHasher(
  costs: Config['passwords'],
  { pepper = '', argon2 = '' }: ImportedSecrets = {},
): PasswordHasher {
  const options = { memoryCost: costs.memory_kib, timeCost: costs.iterations, parallelism: costs.parallelism }
  const queued = createConcurrencyLimit(CONCURRENCY)
  let nobodys: Promise<string> | undefined

  function matchesHash(known: string, given: string): Promise<boolean> {
    if (known.startsWith(SECRET_HASH))
      return verify(known.slice(SECRET_HASH.length), given, { secret: Buffer.from(argon2, 'base64') })
    if (!BCRYPT.test(known)) return verify(known, given)
    return verifyBcrypt(Buffer.from(`${given}${pepper}`).subarray(0, BCRYPT_BYTES), known)
  }

  return {
    hash: (password) => queued(() => hash(normalize(password), options)),
    async verify(known, password) {
      nobodys ??= queued(() => hash('', options))
      const against = known ?? (await nobodys)
      const isTooLong = password.length > MAX_PASSWORD_LENGTH
      const given = isTooLong ? '' : normalize(password)
      const matchesText = (text: string) => queued(() => matchesHash(against, text).catch(() => false))
      // The Matrix Authentication Service may have hashed the text as it was.
      const matches = (await matchesText(given)) || (!isTooLong && given !== password && (await matchesText(password)))
      return matches && known != null && !isTooLong
    },
  }
}

/** Keyboards compose letters differently; normalisation makes the results equal. */
function normalize(password: string): string {
  return password.normalize('NFKC')
}
