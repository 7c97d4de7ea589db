import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'

/** Returns the configuration with a shared secret for registration: the configured one, or one in the data folder, with which commands ask a running server. */
export function withRegistrationSecret(config: Config): Config {
  const secret = config.registration.shared_secret ?? readRegistrationSecret(config) ?? makeSecret(config)
  return { ...config, registration: { ...config.registration, shared_secret: secret } }
}

/** Returns the secret that a server with this data folder has created; undefined when there is none. */
export function readRegistrationSecret(config: Config): string | undefined {
  try {
    return readFileSync(secretFile(config), 'utf8').trim() || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function makeSecret(config: Config): string {
  const secret = randomBytes(32).toString('base64url')
  mkdirSync(config.data_dir, { recursive: true, mode: 0o700 })
  writeFileSync(secretFile(config), `${secret}\n`, { mode: 0o600 })
  return secret
}

function secretFile(config: Config): string {
  return join(config.data_dir, 'registration.secret')
}
