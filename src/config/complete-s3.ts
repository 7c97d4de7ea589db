import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { whyUnreadable } from './file.ts'
import { ConfigError, type Locate, problemAt } from './problems.ts'
import type { s3 } from './s3.ts'

type Parsed = z.output<typeof s3>

/** The section `media.s3` with all defaults, and the secret from its file. */
export type S3Config = Omit<Parsed, 'bucket' | 'secret_access_key_file' | 'force_path_style' | 'cache_dir'> & {
  bucket: string
  force_path_style: boolean
  cache_dir: string
}

/** Returns the bucket for media; undefined if none is configured. Throws ConfigError for an unreadable secret. */
export function completeS3(parsed: Parsed, dataDir: string, locate: Locate): S3Config | undefined {
  const { bucket, secret_access_key_file: file, ...rest } = parsed
  if (bucket === undefined) return undefined
  return {
    ...rest,
    bucket,
    secret_access_key: file === undefined ? rest.secret_access_key : readSecret(file, locate),
    force_path_style: rest.force_path_style ?? rest.endpoint !== undefined,
    cache_dir: resolve(rest.cache_dir ?? join(dataDir, 'media-cache')),
  }
}

function readSecret(file: string, locate: Locate): string {
  const problem = (message: string) =>
    new ConfigError([problemAt(locate, ['media', 's3', 'secret_access_key_file'], message)])
  let secret: string
  try {
    secret = readFileSync(resolve(file), 'utf8').trim()
  } catch (error) {
    throw problem(`cannot read ${file}: ${whyUnreadable(error)}`)
  }
  if (secret === '') throw problem(`${file} is empty`)
  return secret
}
