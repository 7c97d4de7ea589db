import { z } from 'zod'

/** The first entry of a backup: what it is of. docs/backup.md describes the format. */
export const MANIFEST = 'backup.json'
/** The last entry, which only a whole backup has: what is in it. */
export const SUMMARY = 'summary.json'
/** With `--media list`: the files that have to be backed up otherwise. */
export const MEDIA_LIST = 'media.ndjson'

/** Whether a backup contains the media, or only a list of them. */
export const mediaMode = z.enum(['copy', 'list'])
export type MediaMode = z.output<typeof mediaMode>

export const manifest = z.object({
  format: z.literal(1),
  server_name: z.string(),
  hearth_version: z.string(),
  created_ts: z.int(),
  media: mediaMode,
  /** The schema of the database: the migrations that have been applied. */
  migrations: z.array(z.string()),
})
export type Manifest = z.output<typeof manifest>

const content = z.object({ sha256: z.string(), bytes: z.int() })

export const summary = z.object({
  tables: z.record(z.string(), content.extend({ rows: z.int() })),
  sequences: z.array(z.object({ name: z.string(), last: z.int().nullable() })),
  /** Files of the configuration, by their name in the backup. */
  files: z.record(z.string(), content),
  media: z.object({
    files: z.int(),
    bytes: z.int(),
    /** Hashes of files that the store did not have: most were deleted while the backup was made. */
    missing: z.array(z.string()),
  }),
  finished_ts: z.int(),
})
export type Summary = z.output<typeof summary>

/** The entry of a table, and of a media file. */
export const tableEntry = (table: string) => `database/${table}.ndjson`
export const mediaEntry = (sha256: string) => `media/${sha256}`

/** A backup cannot be made, read or restored. The message says why, and what to do. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}
