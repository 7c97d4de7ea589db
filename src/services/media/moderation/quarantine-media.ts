import type { App } from '../../../app.ts'
import { contentUriOf, type MediaName, parseContentUri } from '../../../core/content-uri.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { setMediaProtected } from '../../../storage/media/local-media.ts'
import { findStoredMedia } from '../../../storage/media/media.ts'
import { loadServedUploads, quarantineNames, unquarantineName } from '../../../storage/media/quarantine.ts'
import {
  appendQuarantineChanges,
  listQuarantineChanges,
  type QuarantineChange,
} from '../../../storage/media/quarantine-changes.ts'
import { loadEventsWithFiles } from '../../../storage/media/room-media.ts'

const BATCH = 200

/** Quarantines media of any server, also before they are fetched. Throws M_NOT_FOUND for unknown media of this server. */
export async function quarantineMedia(app: App, name: MediaName, by: UserId): Promise<void> {
  if (name.serverName === app.serverName && !(await findStoredMedia(app.database, name))) throw unknownMedia()
  await quarantine(app, [name], by)
}

/** Ends the quarantine of media. Throws M_NOT_FOUND, and 400 if another rule still prevents that they are served. */
export async function unquarantineMedia(app: App, name: MediaName): Promise<void> {
  await app.database.write(async (tx) => {
    await unquarantineName(tx, name)
    const media = await findStoredMedia(tx, name)
    if (!media) throw unknownMedia()
    if (media.quarantinedBy === null) return
    const rule = `a rule of ${media.quarantinedBy} for their server or content`
    throw new MatrixError(400, 'M_UNKNOWN', `The media are also blocked by ${rule}. Delete it first.`)
  })
}

/**
 * Quarantines all media that a user uploaded to this server, and returns how many that were. Stops early when the server
 * stops; a repeated call continues.
 */
export async function quarantineMediaOfUser(app: App, userId: UserId, by: UserId): Promise<number> {
  for (let count = 0; ; ) {
    const names = await loadServedUploads(app.database, userId, BATCH)
    if (names.length === 0 || app.stopping.aborted) return count
    count += await quarantine(app, names, by)
  }
}

/** As `quarantineMediaOfUser`, for all media in unencrypted events of a room. */
export async function quarantineMediaInRoom(app: App, roomId: RoomId, by: UserId): Promise<number> {
  let count = 0
  for await (const names of mediaInRoom(app, roomId)) {
    if (app.stopping.aborted) return count
    count += await quarantine(app, names, by)
  }
  return count
}

/** Returns the URIs of all media in unencrypted events of a room. */
export async function listMediaInRoom(app: App, roomId: RoomId): Promise<{ local: string[]; remote: string[] }> {
  const [local, remote] = [new Set<string>(), new Set<string>()]
  for await (const names of mediaInRoom(app, roomId)) {
    for (const name of names) (name.serverName === app.serverName ? local : remote).add(contentUriOf(name))
  }
  return { local: [...local], remote: [...remote] }
}

/** Protects media of this server from quarantine, or ends that. Throws M_NOT_FOUND. */
export async function protectMedia(app: App, mediaId: string, isProtected: boolean): Promise<void> {
  const name = { serverName: app.serverName, mediaId }
  await app.database.write(async (tx) => {
    const wasQuarantined = (await findStoredMedia(tx, name))?.quarantinedBy != null
    if (!(await setMediaProtected(tx, name, isProtected))) throw unknownMedia()
    const isQuarantined = (await findStoredMedia(tx, name))?.quarantinedBy != null
    if (isQuarantined !== wasQuarantined) appendQuarantineChanges(tx, [name], isQuarantined)
  })
}

/** Returns changes of the quarantine after a position. Throws M_INVALID_PARAM for a position in the future. */
export async function quarantineChanges(
  app: App,
  { from, limit }: { from: number; limit: number },
): Promise<{ changes: QuarantineChange[]; nextBatch: number }> {
  const { changes, end } = await listQuarantineChanges(app.database, { from, limit })
  if (from > end) throw new InvalidParamError('from is not a position that this server has returned')
  return { changes, nextBatch: changes.at(-1)?.position ?? end }
}

function quarantine(app: App, names: readonly MediaName[], by: UserId): Promise<number> {
  const { serverName: ownServer } = app
  return app.database.write((tx) => quarantineNames(tx, names, { by, ownServer, now: app.clock.now() }))
}

/** Yields the media in a room, page by page, newest first. */
async function* mediaInRoom(app: App, roomId: RoomId): AsyncGenerator<MediaName[]> {
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const events = await loadEventsWithFiles(app.database, roomId, { before, limit: BATCH })
    const last = events.at(-1)
    if (!last) return
    yield events.flatMap(({ json }) => filesOf(JSON.parse(json).content))
    before = last.event_order
  }
}

/** Returns the media that the content of an event names. */
function filesOf(content: unknown): MediaName[] {
  const info = memberOf(content, 'info')
  const uris = [
    memberOf(content, 'url'),
    memberOf(memberOf(content, 'file'), 'url'),
    memberOf(info, 'thumbnail_url'),
    memberOf(memberOf(info, 'thumbnail_file'), 'url'),
  ]
  return uris.flatMap((uri) => parseContentUri(uri) ?? [])
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

function unknownMedia(): NotFoundError {
  return new NotFoundError('Unknown media')
}
