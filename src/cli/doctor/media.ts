import { execFile } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { Config } from '../../config.ts'
import { createLogger } from '../../infra/logger.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { type ObjectStores, storeNamed } from '../../infra/object-store/object-stores.ts'
import { openObjectStores } from '../../infra/object-store/open-object-stores.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { whyStoreFails } from '../../infra/object-store/store-unavailable.ts'
import { systemRandom } from '../../infra/random.ts'
import { countObjectsIn } from '../../storage/media/stored-objects.ts'
import { withConfiguredDatabase } from '../open-configured.ts'
import { lacksDatabase } from './database.ts'
import { type Check, type Finding, good, problem, warning } from './finding.ts'

const FFMPEG_MS = 10_000
const NONE = { count: 0, bytes: 0 }

/** Writes, reads and deletes an object in the bucket for media, and looks for files that were not moved. */
export const checkMedia: Check = async (config) => {
  const { media } = config
  // Without a cache: the bucket itself has to answer.
  const s3 = media.s3 && { ...media.s3, cache_size: 0 }
  const stores = await openObjectStores({ ...media, s3 }, createLogger({ level: 'fatal' }))
  return [
    good(`New files go to ${storeNamed(stores, stores.current).name}`),
    ...(stores.s3 ? [await tryBucket(stores.s3)] : []),
    ...(await findUnmoved(config, stores)),
    ...(media.ffmpeg === undefined ? [] : [await tryFfmpeg(media.ffmpeg)]),
  ]
}

async function tryFfmpeg(program: string): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)(program, ['-version'], { timeout: FFMPEG_MS })
    return good(`Videos have thumbnails, by ${stdout.split(' Copyright')[0]}`)
  } catch (error) {
    return problem(
      `ffmpeg does not run, so videos have no thumbnails: ${(error as Error).message}`,
      'Install it, and set media.ffmpeg to its path.',
    )
  }
}

/** Says where files are that the configured store does not have. */
async function findUnmoved(config: Config, stores: ObjectStores): Promise<Finding[]> {
  const other = stores.current === 's3' ? 'disk' : 's3'
  if (lacksDatabase(config)) return []
  // A database that cannot be read is a finding of its own check.
  const found = await withConfiguredDatabase(config, (database) => countObjectsIn(database, other)).catch(() => NONE)
  if (found.count === 0) return []
  const place = stores[other]?.name ?? 'a bucket, but media.s3.bucket is not set'
  const what = `${found.count} files and thumbnails (${Math.ceil(found.bytes / 1024 ** 2)} MiB) are in ${place}.`
  const move = `hearth media move --to ${stores.current} moves them`
  return [stores[other] ? warning(what, `${move}, while the server runs.`) : problem(what, `Set it. Then, ${move}.`)]
}

async function tryBucket(objects: ObjectStore): Promise<Finding> {
  try {
    await tryObject(objects)
    return good(`Objects can be written, read and deleted in ${objects.name}`)
  } catch (error) {
    return problem(
      `Objects cannot be written, read and deleted in ${objects.name}: ${whyStoreFails(error)}`,
      'Compare media.s3 with the settings of the store; docs/media.md lists the permissions that Hearth needs.',
    )
  }
}

async function tryObject(objects: ObjectStore): Promise<void> {
  const key = systemRandom.token(32)
  const probe = `A probe of hearth doctor, ${key}`
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(probe)
  }
  const staged = await stageFile(objects.stagingFolder, source(), probe.length)
  try {
    await objects.put(key, staged)
    const stream = await objects.get(key)
    const found = stream && (await text(stream))
    await objects.delete(key)
    if (found !== probe) throw new Error('it does not return what was written')
    if ((await objects.sizeOf(key)) !== undefined) throw new Error('a deleted object is still there')
  } finally {
    await discardStagedFile(staged)
  }
}
