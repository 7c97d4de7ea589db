import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { type Config, loadConfig } from '../../config.ts'
import type { Reason } from '../../services/media/move-media.ts'
import { type MoveResult, runMove, whyNoMove } from '../../services/media/run-move.ts'
import { DataFolderLockedError } from '../../storage/engine/data-folder-lock.ts'
import { underLock } from '../../storage/engine/session-lock.ts'
import { CONFIG_OPTION, CommandError, defineCommand, UsageError } from '../command.ts'
import { withApp } from '../open-configured.ts'
import { withRunningServer } from './admin-api.ts'

type Store = MoveResult['to']

const LOCK = 'hearth media move'
const PROGRESS_MS = 5000
const MAX_REASONS = 20
const REASONS: Readonly<Record<Reason, string>> = {
  missing: 'it does not exist in the store',
  damaged: 'its content is not what was uploaded',
  busy: 'an earlier copy is being deleted; run the command again in an hour',
}

export const moveMediaCommand = defineCommand({
  about:
    'Moves the files and thumbnails of the server between the folder and the bucket, whether or not the server runs. Both have to be configured, with media.store set to the one that files move to. An interrupted move continues when it is run again.',
  options: {
    ...CONFIG_OPTION,
    to: { type: 'string', value: 'STORE', about: 's3 or disk' },
    json: { type: 'boolean', about: 'print the result as a JSON object' },
  },
  examples: [
    ['media move --to s3 --config hearth.yaml', 'after media.s3 was configured'],
    ['media move --to disk --config hearth.yaml', 'back to the folder'],
  ],
  async run({ config: configFile, to, json = false }) {
    if (to !== 's3' && to !== 'disk') throw new UsageError('Say where to: --to s3 or --to disk')
    const config = loadConfig({ configFile })
    const obstacle = whyNoMove(config.media, to)
    if (obstacle !== undefined) throw new CommandError(`${obstacle}.`)
    const result = await moveAnywhere(config, to)
    console.log(json ? JSON.stringify(result) : describe(result))
    return result.left === 0 ? 0 : 1
  },
})

/** A running server holds the embedded database: ask that server to move the files. */
async function moveAnywhere(config: Config, to: Store): Promise<MoveResult> {
  try {
    return await moveHere(config, to)
  } catch (error) {
    if (!(error instanceof DataFolderLockedError)) throw error
    return moveOverHttp(config, to)
  }
}

async function moveHere(config: Config, to: Store): Promise<MoveResult> {
  const { s3 } = config.media
  const forMove: Config = {
    ...config,
    // One for the lock.
    database: { ...config.database, pool_size: Math.max(config.database.pool_size, 2) },
    // The cache is the server's.
    media: { ...config.media, s3: s3 && { ...s3, cache_size: 0 } },
  }
  let moved = 0
  const progress = setInterval(() => reportProgress(moved), PROGRESS_MS)
  const report = ({ objects }: { objects: number }) => {
    moved = objects
  }
  try {
    const result = await withApp(
      forMove,
      (app) => underLock(app.database, LOCK, () => runMove(app, to, { report })),
      'fatal',
    )
    if (result) return result
    throw new CommandError('Another hearth media move is running. Wait for its end, or stop it.')
  } finally {
    clearInterval(progress)
  }
}

/** Asks the server again and again: each time it moves files for some seconds. */
function moveOverHttp(config: Config, to: Store): Promise<MoveResult> {
  return withRunningServer(config, async ({ request }) => {
    for (let moved = 0, moved_bytes = 0; ; ) {
      const slice = await request<MoveResult>('POST', hearthV1('/media/move'), { to })
      moved += slice.moved
      moved_bytes += slice.moved_bytes
      if (slice.left === 0 || slice.moved === 0) return { ...slice, moved, moved_bytes }
      reportProgress(moved)
    }
  })
}

function reportProgress(moved: number): void {
  console.error(`${moved} files and thumbnails moved`)
}

function describe({ moved, moved_bytes, left, unmovable }: MoveResult): string {
  const done = `Moved ${moved} files and thumbnails (${Math.ceil(moved_bytes / 1024 ** 2)} MiB).`
  if (left === 0) return `${done} None are left.`
  const hint = unmovable.length > 0 ? 'These were not moved:' : 'A process still stores files there: restart it.'
  const reasons = unmovable.map(({ object_key, reason }) => `  ${object_key}: ${REASONS[reason]}`)
  return [`${done} ${left} are left. ${hint}`, ...reasons.slice(0, MAX_REASONS)].join('\n')
}
