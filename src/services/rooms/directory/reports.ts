import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { domainOf, type EventId, type RoomId, type UserId } from '../../../core/ids.ts'
import { findMembership, isInAnyRoom } from '../../../storage/rooms/membership/room-memberships.ts'
import { insertReport, type Reported } from '../../../storage/rooms/reports.ts'
import { findRoomEvent } from '../../../storage/rooms/timeline/events.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { findUser } from '../../../storage/users/users.ts'
import { visibleEvents } from '../reading/visible-events.ts'

type Reporting = Pick<App, 'config' | 'database' | 'clock' | 'serverName'>

/** The reporter and the reason; `score`: from -100, the most offensive, to 0. */
export type Complaint = { reporter: UserId; reason?: string | undefined; score?: number | undefined }

/**
 * Reports an event that the user can see in a room they have joined, ignored senders' included. Throws M_NOT_FOUND for
 * any other.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid
 */
export async function reportEvent(
  app: Reporting,
  { roomId, eventId, ...complaint }: Complaint & { roomId: RoomId; eventId: EventId },
): Promise<void> {
  const membership = await findMembership(app.database, roomId, complaint.reporter)
  const event = membership?.membership === 'join' && (await findRoomEvent(app.database, roomId, eventId))
  if (!event || event.soft_failed || (await visibleEvents(app, complaint.reporter, [event])).length === 0) {
    throw new NotFoundError('The event does not exist, or you are not in its room')
  }
  await keep(app, complaint, { room_id: roomId, event_id: eventId })
}

/**
 * Reports a room, whether or not the user is in it. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport
 */
export async function reportRoom(
  app: Reporting,
  { roomId, ...complaint }: Complaint & { roomId: RoomId },
): Promise<void> {
  if (!(await findRoomHead(app.database, roomId))) throw new NotFoundError('Unknown room')
  await keep(app, complaint, { room_id: roomId })
}

/**
 * Reports a local user or a member of a room that this server is in. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport
 */
export async function reportUser(
  app: Reporting,
  { userId, ...complaint }: Complaint & { userId: UserId },
): Promise<void> {
  const isLocal = domainOf(userId) === app.serverName
  const isKnown = isLocal ? await findUser(app.database, userId) : await isInAnyRoom(app.database, userId)
  if (!isKnown) throw new NotFoundError('Unknown user')
  await keep(app, complaint, { reported_user: userId })
}

async function keep(app: Reporting, { reporter, reason, score }: Complaint, reported: Reported): Promise<void> {
  const report = { ...reported, reporter, received_ts: app.clock.now(), reason: reason ?? null, score: score ?? null }
  await app.database.write((tx) => insertReport(tx, report))
}
