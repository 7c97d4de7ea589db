import type { App } from '../../app.ts'
import type { NamedAccount } from './find-account.ts'

/**
 * Returns whether a password is that of an account. Every attempt counts against the account before the check, so that
 * guesses are limited across endpoints, identifiers and processes. Unknown accounts take as long. Throws
 * M_LIMIT_EXCEEDED.
 */
export async function checkPassword(
  app: Pick<App, 'passwordHasher' | 'rateLimiter'>,
  { user, countedAs }: NamedAccount,
  password: string,
): Promise<boolean> {
  if (countedAs !== undefined) await app.rateLimiter.take('login', countedAs)
  return app.passwordHasher.verify(user?.password_hash, password)
}
