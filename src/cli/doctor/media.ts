import { text } from 'node:stream/consumers'
import type { Config } from '../../config.ts'
import { createLogger } from '../../infra/logger.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { openObjectStore } from '../../infra/object-store/open-object-store.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { StoreUnavailableError } from '../../infra/object-store/store-unavailable.ts'
import { systemRandom } from '../../infra/random.ts'
import { type Check, type Finding, good, problem } from './finding.ts'

/** Writes, reads and deletes an object in the bucket for media. */
export const checkMedia: Check = async ({ media }) => [
  media.s3 ? await tryBucket(media) : good(`Files are stored in ${media.storage_dir}`),
]

async function tryBucket(media: Config['media']): Promise<Finding> {
  // Without a cache: the bucket itself has to answer.
  const s3 = { ...media.s3!, cache_size: 0 }
  const objects = await openObjectStore({ ...media, s3 }, createLogger({ level: 'fatal' }))
  try {
    await tryObject(objects)
    return good(`Objects can be written, read and deleted in ${objects.name}`)
  } catch (error) {
    const why = error instanceof StoreUnavailableError ? error.cause : error
    return problem(
      `Objects cannot be written, read and deleted in ${objects.name}: ${wordsOf(why)}`,
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
    if (await objects.has(key)) throw new Error('a deleted object is still there')
  } finally {
    await discardStagedFile(staged)
  }
}

function wordsOf(error: unknown): string {
  const { name, message } = error as Error
  return [name, message].filter((part) => part && part !== 'Error').join(': ')
}
