import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { ConfigError } from './config-error.ts'
import { type Locate, problemAt } from './problems.ts'
import { readSecret } from './read-secret.ts'
import type { s3 } from './s3.ts'
import type { configSchema } from './schema.ts'

type Parsed = z.output<typeof configSchema>['media']
type ParsedS3 = z.output<typeof s3>

/** The section `media.s3` with all defaults, and the secret from its file. */
type S3Config = Omit<ParsedS3, 'bucket' | 'secret_access_key_file' | 'force_path_style' | 'cache_dir'> & {
  bucket: string
  force_path_style: boolean
  cache_dir: string
}

/** The section `media`; `store` says where new files go. */
export type MediaConfig = Omit<Parsed, 's3' | 'store' | 'scanner'> & {
  storage_dir: string
  store: 'disk' | 's3'
  s3: S3Config | undefined
  /** With the token from its file. */
  scanner: Omit<Parsed['scanner'], 'token_file'>
}

/** Fills in the section `media`. Throws ConfigError for an unreadable secret, and for a store that is missing. */
export function completeMedia(parsed: Parsed, dataDir: string, locate: Locate): MediaConfig {
  const s3 = completeS3(parsed.s3, dataDir, locate)
  const store = parsed.store ?? (s3 ? 's3' : 'disk')
  if (store === 's3' && !s3) throw new ConfigError([problemAt(locate, ['media', 'store'], 's3 needs media.s3.bucket')])
  const { token_file: tokenFile, ...scanner } = parsed.scanner
  const token =
    tokenFile === undefined ? scanner.token : readSecret(tokenFile, locate, ['media', 'scanner', 'token_file'])
  const storageDir = resolve(parsed.storage_dir ?? join(dataDir, 'media'))
  return { ...parsed, storage_dir: storageDir, store, s3, scanner: { ...scanner, token } }
}

/** Returns the bucket for media; undefined if none is configured. */
function completeS3(parsed: ParsedS3, dataDir: string, locate: Locate): S3Config | undefined {
  const { bucket, secret_access_key_file: file, ...rest } = parsed
  if (bucket === undefined) return undefined
  return {
    ...rest,
    bucket,
    secret_access_key:
      file === undefined ? rest.secret_access_key : readSecret(file, locate, ['media', 's3', 'secret_access_key_file']),
    force_path_style: rest.force_path_style ?? rest.endpoint !== undefined,
    cache_dir: resolve(rest.cache_dir ?? join(dataDir, 'media-cache')),
  }
}
