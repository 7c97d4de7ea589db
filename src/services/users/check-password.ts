import type { App } from '../../app.ts'
import type { NamedAccount } from './find-account.ts'

/**
 * Whether a password is that of an account. Every attempt counts for the account that is tried, before it is made: so guesses are limited over all
 * endpoints, identifiers and processes. Takes as long where there is no account. Throws M_LIMIT_EXCEEDED.
 */
export async function checkPassword(
  app: Pick<App, 'passwordHasher' | 'rateLimiter'>,
  { user, countedAs }: NamedAccount,
  password: string,
): Promise<boolean> {
  if (countedAs !== undefined) await app.rateLimiter.take('login', countedAs)
  return app.passwordHasher.verify(user?.password_hash, password)
}
