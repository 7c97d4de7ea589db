import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import { isDeniedBy } from '../../core/rooms/server-lists.ts'
import { DeniedServerError, FederationError } from '../../infra/federation/federation-error.ts'
import { findQuarantinedServer } from '../../storage/media/quarantined-servers.ts'
import { insertRefusedMedia, insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { askForMedia } from '../federation/requests/ask-for-media.ts'
import { ContentRefusedError } from '../media/content-refused.ts'
import { acceptedContentType } from '../media/content-type.ts'
import { safeFileName } from '../media/file-name.ts'
import { findKeptMedia, findLocalMedia, type Media } from '../media/find-local-media.ts'
import { scanStoredFile } from '../media/scan-content.ts'
import { storeFile } from '../media/store-file.ts'

type Wait = {
  timeoutMs: number
  signal: AbortSignal
  /** Whether to ask other servers; default true. */
  allowRemote?: boolean
}

const TURN_MS = 20_000

/**
 * Finds media of any server; remote media are fetched once and cached. Throws as `findLocalMedia`, M_TOO_LARGE above
 * the local size limit, and FederationError.
 * https://spec.matrix.org/v1.19/server-server-api/#content-repository
 */
export async function findMedia(app: App, name: MediaName, wait: Wait): Promise<Media> {
  if (name.serverName === app.serverName) return findLocalMedia(app, name, wait)
  // Copies from before the server was denied are not served either, as in Synapse.
  if (isDeniedBy(app.config.federation.servers, name.serverName)) throw new DeniedServerError(name.serverName)
  const known = await findScanned(app, name)
  if (known) return known
  if (await findQuarantinedServer(app.database, name.serverName)) throw new NotFoundError('Unknown media')
  if (wait.allowRemote === false) throw new NotFoundError('The remote file is not cached on this server')
  await inTurn(app, wait, () =>
    app.media.fetches(`${name.serverName}/${name.mediaId}`, () => fetchMedia(app, name, wait.timeoutMs)),
  )
  const fetched = await findKeptMedia(app, name)
  if (!fetched) throw new NotFoundError('Unknown media')
  return fetched
}

/** Finds a stored copy. One from before there was a scanner is scanned first. */
async function findScanned(app: App, name: MediaName): Promise<Media | undefined> {
  const media = await findKeptMedia(app, name)
  try {
    if (media) await scanStoredFile(app, media.file)
  } catch (error) {
    throw error instanceof ContentRefusedError ? new NotFoundError('Unknown media') : error
  }
  return media
}

/** Waits for a place in the requester's lane, and holds it until the file is complete. */
async function inTurn(app: App, { timeoutMs, signal: gone }: Wait, work: () => Promise<void>): Promise<void> {
  if (!app.asker) return work()
  const signal = AbortSignal.any([gone, AbortSignal.timeout(timeoutMs + TURN_MS)])
  try {
    await app.transfers(app.asker, work, signal)
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error
    throw new FederationError(
      'The file was not fetched in time, because too many files are requested. Try again later.',
      { cause: error },
    )
  }
}

async function fetchMedia(app: App, name: MediaName, timeoutMs: number): Promise<void> {
  const { contentType, filename, content } = await askForMedia(app, name, timeoutMs).catch((error) => {
    throw asMediaError(error)
  })
  const described = { contentType: acceptedContentType(contentType), filename: safeFileName(filename) ?? null }
  try {
    await storeFile(app, content, (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, ...described, sha256, now: app.clock.now() }),
    )
  } catch (error) {
    if (!(error instanceof ContentRefusedError)) throw asMediaError(error)
    const refused = { sha256: error.sha256, now: app.clock.now() }
    await app.database.write((tx) => insertRefusedMedia(tx, name, refused))
    throw new NotFoundError('Unknown media')
  }
}

/** Limits of remote requests are no mistake of the client, which gets 502. */
function asMediaError(error: unknown): unknown {
  if (error instanceof MatrixError && error.errcode === 'M_TOO_LARGE') return tooLarge()
  if (!(error instanceof FederationError)) return error
  if (error.errcode === 'M_TOO_LARGE') return tooLarge()
  if (error.errcode === 'M_NOT_YET_UPLOADED') return new MatrixError(504, error.errcode, error.message)
  if (error.status === 404) return new NotFoundError('Unknown media')
  return error
}

function tooLarge(): MatrixError {
  return new MatrixError(502, 'M_TOO_LARGE', 'The file is larger than the limit of this server')
}
