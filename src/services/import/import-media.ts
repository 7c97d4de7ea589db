import { join, relative } from 'node:path'
import { fileTypeFromBuffer } from 'file-type'
import type { ServerName } from '../../core/ids.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { discardStagedFile, stageExisting } from '../../infra/object-store/staged-file.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { claimFile, isFileStored } from '../../storage/media/media-files.ts'
import { announceObject } from '../../storage/media/pending-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { acceptedContentType } from '../media/content-type.ts'
import { safeFileName } from '../media/file-name.ts'
import { type ImportContext, type ImportStep, rowStep } from './import-step.ts'

/** Files are large: few in a transaction. */
const FILES_AT_ONCE = 20

/** A file in Hearth's store; `object` null: the same content was stored before. */
type CopiedFile = {
  sha256: string
  size: number
  object: { objectKey: string; store: StoreName; detectedType: string | null } | null
}

type MediaRow = {
  server_name: ServerName
  media_id: string
  media_type: string | null
  created_ts: number
  upload_name: string | null
  user_id: string | null
  quarantined_by: string | null
  last_access_ts: number | null
  is_safe: unknown
  /** Where the file is, below the media folder: the folder, and the name of which the path is made. */
  folder: string
  file_name: string
  file?: CopiedFile | undefined
}

const COLUMNS = 'media_id, media_type, created_ts, upload_name, quarantined_by, last_access_ts'

const localMedia = mediaStep({
  name: 'media',
  columns: `'' as server_name, ${COLUMNS}, user_id, safe_from_quarantine as is_safe,
    'local_content' as folder, media_id as file_name`,
  from: 'local_media_repository',
  where: 'url_cache is null and media_length is not null',
  key: ['media_id'],
})

const remoteMedia = mediaStep({
  name: 'media of other servers',
  columns: `media_origin as server_name, ${COLUMNS}, null as user_id, false as is_safe,
    'remote_content/' || media_origin as folder, filesystem_id as file_name`,
  from: 'remote_media_cache',
  where: 'true',
  key: ['media_origin', 'media_id'],
})

function mediaStep(source: { name: string; columns: string; from: string; where: string; key: string[] }): ImportStep {
  return rowStep<MediaRow>({
    ...source,
    size: FILES_AT_ONCE,
    async prepare(rows, context) {
      const copied: MediaRow[] = []
      for (const row of rows) copied.push({ ...row, file: await copyFileOf(row, context) })
      return copied
    },
    store: storeMedia,
  })
}

/** Undefined if there is no file: it may be in a bucket. */
async function copyFileOf(row: MediaRow, context: ImportContext): Promise<CopiedFile | undefined> {
  const { stores, database, random, now, note, synapse } = context
  if (!stores) return undefined
  const store = storeNamed(stores, stores.current)
  const { file_name: name } = row
  const path = join(synapse.mediaFolder, row.folder, name.slice(0, 2), name.slice(2, 4), name.slice(4))
  const isInside = !relative(synapse.mediaFolder, path).startsWith('..')
  const staged = isInside ? await stageExisting(store.stagingFolder, path) : undefined
  if (!staged) {
    note(`media ${row.server_name || context.serverName}/${row.media_id}: there is no file ${path}`)
    return undefined
  }
  const { sha256, size } = staged
  try {
    if (await isFileStored(database, sha256)) return { sha256, size, object: null }
    const object = { objectKey: random.token(32), store: stores.current }
    await database.write((tx) => announceObject(tx, object, now))
    await store.put(object.objectKey, staged)
    const detectedType = (await fileTypeFromBuffer(staged.head))?.mime ?? null
    return { sha256, size, object: { ...object, detectedType } }
  } finally {
    await discardStagedFile(staged)
  }
}

async function storeMedia(tx: Tx, rows: readonly MediaRow[], { serverName, now }: ImportContext): Promise<number> {
  for (const { file } of rows) {
    if (!file?.object) continue
    const { objectKey, store, detectedType } = file.object
    // Of two equal files in one batch, one object stays orphaned, and is swept.
    await claimFile(tx, { sha256: file.sha256, size: file.size, objectKey, store, detectedType, isScanned: false, now })
  }
  const having = rows.filter(({ file }) => file !== undefined)
  const rules = having.filter(({ quarantined_by, file }) => quarantined_by !== null && file)
  await insertRows(
    tx,
    'media_content_rules',
    rules.map(({ file, quarantined_by }) => ({
      sha256: file!.sha256,
      verdict: 'quarantine',
      set_by: quarantined_by,
      set_ts: now,
    })),
  )
  // Quarantine must hold also for files that are not here: remote ones could be fetched again.
  const kept = rows.filter(({ file, quarantined_by }) => file !== undefined || quarantined_by !== null)
  return insertRows(
    tx,
    'media',
    kept.map(({ file, ...row }) => ({
      server_name: row.server_name || serverName,
      media_id: row.media_id,
      uploader: row.user_id,
      sha256: file?.sha256 ?? null,
      file_size: row.user_id === null ? null : (file?.size ?? null),
      content_type: acceptedContentType(row.media_type ?? undefined),
      filename: row.upload_name === null ? null : (safeFileName(row.upload_name) ?? null),
      created_ts: row.created_ts,
      accessed_ts: row.last_access_ts ?? row.created_ts,
      quarantined_by: file === undefined ? row.quarantined_by : null,
      is_protected: Boolean(row.is_safe),
    })),
  )
}

/** Files that users uploaded, and those of other servers: some of these are nowhere else any more. */
export const MEDIA_STEPS: readonly ImportStep[] = [localMedia, remoteMedia]
