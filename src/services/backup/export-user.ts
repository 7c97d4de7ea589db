import type { App } from '../../app.ts'
import { ForbiddenError, NotFoundError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import { createZip, type ZipWriter } from '../../infra/zip-writer.ts'
import { loadDevices } from '../../storage/devices/devices.ts'
import { listMediaOfUser } from '../../storage/media/local-media.ts'
import { findStoredMedia } from '../../storage/media/media.ts'
import { loadPushers } from '../../storage/push/pushers.ts'
import { loadUserMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { loadUpstreamLinks } from '../../storage/sign-in/upstream-links.ts'
import { loadAllAccountData } from '../../storage/users/account-data.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { loadThreepids } from '../../storage/users/threepids.ts'
import { findUser } from '../../storage/users/users.ts'
import { safeFileName } from '../media/file-name.ts'
import { describePusher } from '../push/set-pusher.ts'
import { accessRoom } from '../rooms/access/room-access.ts'
import { strippedState } from '../rooms/membership/stripped-state.ts'
import { serveEvents } from '../rooms/reading/serve-events.ts'
import { readVisiblePage } from '../rooms/reading/visible-pages.ts'

const PAGE = 500

type Exported = { userId: UserId; signal: AbortSignal }

/**
 * Returns a ZIP archive with all data of a user, which is written while it is read: what the user has entered, sent and
 * uploaded, and what the user can see in rooms. It has no secrets. Throws M_NOT_FOUND for unknown and remote users. After
 * an error, or when `signal` aborts, the archive has no end.
 */
export async function exportUser(app: App, { userId, signal }: Exported): Promise<ZipWriter['output']> {
  const isOurs = serverNameOf(userId) === app.serverName
  if (!isOurs || !(await findUser(app.database, userId))) throw new NotFoundError('There is no such user here')
  const zip = createZip(new Date(app.clock.now()))
  writeAll(app, zip, { userId, signal }).catch((error) => {
    if (!signal.aborted) app.logger.error({ err: error, userId }, 'export of user failed')
    zip.output.destroy(error)
  })
  return zip.output
}

async function writeAll(app: App, zip: ZipWriter, exported: Exported): Promise<void> {
  const { userId, signal } = exported
  await zip.add('README.txt', pieces(readme(app, userId)))
  await zip.add('user.json', pieces(JSON.stringify(await describeUser(app, userId), undefined, 2)))
  await zip.add('account_data.ndjson', accountDataOf(app, userId))
  const rooms = await loadUserMemberships(app.database, userId)
  await zip.add(
    'rooms.ndjson',
    pieces(
      ...rooms.map(
        ({ room_id, membership, forgotten }, at) =>
          `${JSON.stringify({ room: at + 1, room_id, membership, forgotten })}\n`,
      ),
    ),
  )
  for (const [at, { room_id, membership, event_nid }] of rooms.entries()) {
    signal.throwIfAborted()
    if (membership === 'invite' || membership === 'knock') {
      const state = (await strippedState(app, event_nid, { rooms: 1 })) ?? []
      await zip.add(`rooms/${at + 1}/stripped_state.ndjson`, pieces(...state.map(line)))
    }
    const access = await accessRoom(app, room_id as RoomId, userId).catch(withoutAccess)
    if (access) await zip.add(`rooms/${at + 1}/events.ndjson`, eventsOf(app, exported, access))
  }
  await addMedia(app, zip, exported)
  zip.end()
}

/** Other errors end the export: it must not lack a room that the user can see. */
function withoutAccess(error: unknown): undefined {
  if (!(error instanceof ForbiddenError)) throw error
}

/** Everything about the account itself, without tokens, hashes and keys. */
async function describeUser({ database }: App, userId: UserId): Promise<object> {
  const [user, profile, threepids, devices, pushers, links] = await Promise.all([
    findUser(database, userId),
    loadProfile(database, userId),
    loadThreepids(database, userId),
    loadDevices(database, userId),
    loadPushers(database, userId),
    loadUpstreamLinks(database, userId),
  ])
  return {
    user_id: userId,
    created_ts: user!.created_ts,
    deactivated_ts: user!.deactivated_ts,
    language: user!.language,
    profile,
    threepids: threepids.map(({ user_id: _user, ...threepid }) => threepid),
    devices: devices.map(({ user_id: _user, ...device }) => device),
    pushers: pushers.map(describePusher),
    identity_providers: links.map(({ user_id: _user, ...link }) => link),
  }
}

async function* accountDataOf({ database }: App, userId: UserId): AsyncGenerator<string> {
  for (const { room_id, type, content } of await loadAllAccountData(database, userId))
    yield line({ ...(room_id !== '' && { room_id }), type, content: JSON.parse(content) })
}

/** Returns the events of a room that the user can see, the oldest first. */
async function* eventsOf(
  app: App,
  { userId, signal }: Exported,
  access: Awaited<ReturnType<typeof accessRoom>>,
): AsyncGenerator<string> {
  const bytes = app.config.limits.answers.page
  for (let from: number | undefined = -Number.MAX_SAFE_INTEGER; from !== undefined; ) {
    signal.throwIfAborted()
    const wanted = { access, userId, direction: 'forwards' as const, from, limit: PAGE, bytes, filter: {} }
    const page = await readVisiblePage(app, wanted)
    for (const event of await serveEvents(app, { events: page.events, userId, deviceId: null })) yield line(event)
    from = page.next
  }
}

async function addMedia(app: App, zip: ZipWriter, { userId, signal }: Exported): Promise<void> {
  const listed: string[] = []
  for (let from = 0; ; from += PAGE) {
    const order = { from, limit: PAGE, orderBy: 'created_ts' as const, isDescending: false }
    const { media } = await listMediaOfUser(app.database, userId, order)
    for (const { server_name: serverName, media_id: mediaId, filename, content_type, created_ts } of media) {
      signal.throwIfAborted()
      const stored = await findStoredMedia(app.database, { serverName, mediaId })
      if (!stored?.file) continue
      // Quarantined files are not served to anyone.
      const content = stored.quarantinedBy === null ? await app.media.objects.get(stored.file.objectKey) : undefined
      const name = safeFileName(filename ?? undefined)
      const file = `media/${mediaId}${name ? `-${name.replaceAll(/[/\\]/g, '_')}` : ''}`
      if (content) await zip.add(file, content, 'binary')
      const url = `mxc://${serverName}/${mediaId}`
      listed.push(line({ url, content_type, filename, created_ts, size: stored.file.size, ...(content && { file }) }))
    }
    if (media.length < PAGE) break
  }
  await zip.add('media.ndjson', pieces(...listed))
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`
}

async function* pieces(...texts: string[]): AsyncGenerator<string> {
  yield* texts
}

function readme({ serverName, clock }: App, userId: UserId): string {
  return `The data of ${userId} on the Matrix server ${serverName}, as of ${new Date(clock.now()).toISOString()}.

user.json            the account: profile, e-mail addresses and phone numbers, devices with the time and address
                     of their last request, push notifications, linked accounts at identity providers
account_data.ndjson  settings that clients have stored, of the account and of rooms
rooms.ndjson         the rooms in which the account is or was, with their number here
rooms/NUMBER/        events.ndjson: all events of the room that the account can see, its own among them;
                     stripped_state.ndjson: what came with an invite or a request to join
media.ndjson         files that the account has uploaded
media/               these files

Files that end in .ndjson have one JSON object per line. Events have the format of the Matrix specification,
https://spec.matrix.org. Encrypted messages (m.room.encrypted) can be read only with their keys, which this server
does not have: export them in your client. Passwords, tokens and keys of devices are not included.
`
}
