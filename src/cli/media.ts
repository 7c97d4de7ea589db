import type { App } from '../app.ts'
import { type Config, loadConfig } from '../config.ts'
import { storeNamed } from '../infra/object-store/object-stores.ts'
import { whyStoreFails } from '../infra/object-store/store-unavailable.ts'
import { checkMediaStore } from '../services/media/check-media-store.ts'
import { type Moved, moveMedia, type Reason } from '../services/media/move-media.ts'
import { underLock } from '../storage/engine/session-lock.ts'
import { countObjectsIn } from '../storage/media/stored-objects.ts'
import type { StoreName } from '../storage/schema/media.ts'
import { CONFIG_OPTION, CommandError, defineCommand, UsageError } from './command.ts'
import { explainDataFolderLock, withApp } from './open-configured.ts'

const LOCK = 'hearth media move'
const PROGRESS_MS = 5000
const MAX_REASONS = 20
const REASONS: Readonly<Record<Reason, string>> = {
  missing: 'it does not exist in the store',
  damaged: 'its content is not what was uploaded',
  busy: 'an earlier copy is being deleted; run the command again in an hour',
}

type Move = { from: StoreName; to: StoreName }

export const media = defineCommand({
  argument: 'move',
  about:
    'Moves the files and thumbnails of the server between the folder and the bucket, while the server runs. Both have to be configured, with media.store set to the one that files move to. An interrupted move continues when it is run again. A server on the embedded database must be stopped first.',
  options: {
    ...CONFIG_OPTION,
    to: { type: 'string', value: 'STORE', about: 's3 or disk' },
    json: { type: 'boolean', about: 'print the result as a JSON object' },
  },
  examples: [
    ['media move --to s3 --config hearth.yaml', 'after media.s3 was configured'],
    ['media move --to disk --config hearth.yaml', 'back to the folder'],
  ],
  async run({ config: configFile, to, json = false }, action) {
    if (action !== 'move') throw new UsageError('Say what to do: hearth media move --to s3')
    if (to !== 's3' && to !== 'disk') throw new UsageError('Say where to: --to s3 or --to disk')
    const config = forMove(loadConfig({ configFile }), to)
    const move: Move = { from: to === 's3' ? 'disk' : 's3', to }
    const result = await withApp(
      config,
      (app) => underLock(app.database, LOCK, () => runMove(app, move)),
      'fatal',
    ).catch(explainDataFolderLock)
    if (!result) throw new CommandError('Another hearth media move is running. Wait for its end, or stop it.')
    console.log(json ? JSON.stringify(asJson(result, to)) : describe(result))
    return result.left.count === 0 ? 0 : 1
  },
})

type Result = { moved: Moved; left: { count: number; bytes: number } }

/** Returns the configuration for a move: with both stores, no cache, and a connection for the lock. */
function forMove(config: Config, to: StoreName): Config {
  const { s3, store } = config.media
  if (!s3) throw new CommandError('media.s3.bucket is not set. Configure the bucket first; docs/media.md says how.')
  if (store !== to)
    throw new CommandError(
      `New files go to ${store}, so a move to ${to} would not end. Set media.store: ${to}, restart all processes, and run this again.`,
    )
  return {
    ...config,
    database: { ...config.database, pool_size: Math.max(config.database.pool_size, 2) },
    media: { ...config.media, s3: { ...s3, cache_size: 0 } },
  }
}

async function runMove(app: App, move: Move): Promise<Result> {
  const count = () => countObjectsIn(app.database, move.from)
  const total = await count()
  await requireStore(app, move.to)
  if (total.count > 0) await requireStore(app, move.from)
  let objects = 0
  const progress = setInterval(
    () => console.error(`${objects} of ${total.count} files and thumbnails moved`),
    PROGRESS_MS,
  )
  try {
    const moved = await moveMedia(app, move, (sofar) => (objects = sofar.objects))
    return { moved, left: await count() }
  } catch (error) {
    const { count: left } = await count()
    throw new CommandError(
      `${whyStoreFails(error)}\nThe move stopped with ${left} of ${total.count} files and thumbnails left. Nothing is lost: the server finds files in both stores. Correct the cause and run the same command again.`,
    )
  } finally {
    clearInterval(progress)
  }
}

/** The folder may not be mounted here, or the bucket be another one. */
async function requireStore(app: App, store: StoreName): Promise<void> {
  const { name } = storeNamed(app.media.stores, store)
  const isRight = await checkMediaStore(app, store).catch((error) => {
    throw new CommandError(`Cannot use ${name}: ${whyStoreFails(error)}`)
  })
  if (!isRight)
    throw new CommandError(
      `${capitalized(name)} does not contain the files of this server. Run this on a machine that has them, with the same configuration as the server.`,
    )
}

function describe({ moved, left }: Result): string {
  const reasons = [...moved.unmovable].map(([key, reason]) => `  ${key}: ${REASONS[reason]}`)
  const done = `Moved ${moved.objects} files and thumbnails (${Math.ceil(moved.bytes / 1024 ** 2)} MiB).`
  if (left.count === 0) return `${done} None are left.`
  const hint = reasons.length > 0 ? 'These were not moved:' : 'A process still stores files there: restart it.'
  return [`${done} ${left.count} are left. ${hint}`, ...reasons.slice(0, MAX_REASONS)].join('\n')
}

function asJson({ moved, left }: Result, to: StoreName): object {
  return {
    to,
    moved: moved.objects,
    moved_bytes: moved.bytes,
    left: left.count,
    left_bytes: left.bytes,
    unmovable: [...moved.unmovable].map(([object_key, reason]) => ({ object_key, reason })),
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
