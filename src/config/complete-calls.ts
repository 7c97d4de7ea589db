import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { z } from 'zod'
import type { calls } from './calls.ts'
import { ConfigError } from './config-error.ts'
import { whyUnreadable } from './file.ts'
import { type Locate, problemAt } from './problems.ts'

type Parsed = z.output<typeof calls>

/** `api_secret_file` is read. */
export type CallsConfig = { livekit: Omit<Parsed['livekit'], 'api_secret_file'> }

/** Reads the file with the secret. Throws ConfigError if it cannot be read, or is empty. */
export function completeCalls({ livekit: parsed }: Parsed, locate: Locate): CallsConfig {
  const { api_secret_file: file, ...rest } = parsed
  if (file === undefined) return { livekit: rest }
  const problem = (message: string) =>
    new ConfigError([problemAt(locate, ['calls', 'livekit', 'api_secret_file'], message)])
  let secret: string
  try {
    secret = readFileSync(resolve(file), 'utf8').trim()
  } catch (error) {
    throw problem(`cannot read ${file}: ${whyUnreadable(error)}`)
  }
  if (secret === '') throw problem(`${file} is empty`)
  return { livekit: { ...rest, api_secret: secret } }
}
