import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import { redact } from '../../../core/events/redaction.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import { firstWithin } from '../../../core/json/within-bytes.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { loadThreads } from '../../../storage/rooms/related-events.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { accessRoom } from '../access/room-access.ts'
import { orderOfToken } from './room-points.ts'
import { serveEvents } from './serve-events.ts'
import { visibleEvents } from './visible-events.ts'

export type ThreadsCommand = {
  roomId: RoomId
  userId: UserId
  deviceId: DeviceId | null
  include: 'all' | 'participated'
  from?: string | undefined
  limit?: number | undefined
}

export type Threads = { chunk: ClientEvent[]; next_batch?: string }

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100

/**
 * Returns the roots of a room's threads, latest activity first. Throws M_FORBIDDEN, and M_INVALID_PARAM for an unknown
 * token.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads
 */
export async function readThreads(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: ThreadsCommand,
): Promise<Threads> {
  const { roomId, userId } = command
  const access = await accessRoom(app, roomId, userId)
  const from = command.from === undefined ? access.lastOrder : await orderOfToken(app, roomId, command.from)
  const limit = Math.min(command.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const ignored = await loadIgnoredUsers(app.database, userId)
  const wanted = {
    roomId,
    lastOrder: access.lastOrder,
    before: from + 1,
    limit: limit + 1,
    participant: command.include === 'participated' ? userId : undefined,
    ignored,
  }
  const threads = await app.reading.inTurn(userId, () => loadThreads(app.database, wanted))
  const sized = threads.slice(0, limit).map((thread) => ({ ...thread, size: thread.root.size }))
  const page = firstWithin(sized, app.config.limits.answers.page)
  const roots = await visibleEvents(
    app,
    userId,
    page.map((thread) => thread.root),
  )
  const shown = await withoutIgnored(app, roots, ignored)
  return {
    chunk: await serveEvents(app, { ...command, events: shown, bundle: true }),
    ...(threads.length > page.length && { next_batch: paginationToken(page.at(-1)!.latestOrder - 1) }),
  }
}

/** A root sent by an ignored user is shown redacted, since its thread needs it. */
async function withoutIgnored(
  app: Pick<App, 'database'>,
  roots: readonly StoredEvent[],
  ignored: ReadonlySet<string>,
): Promise<readonly StoredEvent[]> {
  if (!roots.some((root) => ignored.has(root.pdu.sender))) return roots
  const versions = await loadRoomVersions(app.database, new Set(roots.map((root) => root.room_id)))
  return roots.map((root) =>
    ignored.has(root.pdu.sender) ? { ...root, pdu: redact(versions.get(root.room_id)!, root.pdu) } : root,
  )
}
