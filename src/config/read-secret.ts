import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError } from './config-error.ts'
import { whyUnreadable } from './file.ts'
import { type Locate, problemAt } from './problems.ts'

/** Returns the secret in a file that a key names. Throws ConfigError if it is unreadable or empty. */
export function readSecret(file: string, locate: Locate, key: readonly string[]): string {
  const problem = (message: string) => new ConfigError([problemAt(locate, key, message)])
  let secret: string
  try {
    secret = readFileSync(resolve(file), 'utf8').trim()
  } catch (error) {
    throw problem(`cannot read ${file}: ${whyUnreadable(error)}`)
  }
  if (secret === '') throw problem(`${file} is empty`)
  return secret
}
