import { MatrixError } from '../../../core/errors.ts'
import { isEventId, isRoomId, type RoomId, type ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import {
  lookUpTransaction,
  storeInInbox,
  storeReceivedTransaction,
} from '../../../storage/federation/federation-inbox.ts'
import { loadRoomsBeingJoined } from '../../../storage/rooms/membership/room-joins.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import { refusalOfServer } from '../trust/may-send-into.ts'
import { verifyEvents } from '../trust/verify-events.ts'
import type { EduApp } from './edu-app.ts'
import { receiveEdus } from './receive-edu.ts'
import { receiveRescindedInvite } from './receive-rescinded-invite.ts'
import type { InboxApp } from './work-inbox-room.ts'

type ReceivingApp = InboxApp & EduApp

/** A transaction of another server. */
export type ReceivedTransaction = {
  origin: ServerName
  txnId: string
  pdus: readonly unknown[]
  edus: readonly unknown[]
}

const FULL_REST_MS = 60_000

/** By event ID: an error for a refused event, `{}` for one stored in the inbox. */
type Results = Record<string, { error?: string }>

/**
 * Stores a transaction in the inbox. When this resolves, nothing of it can be lost. Returns the response as JSON text,
 * the same one for a repeated transaction. Throws M_LIMIT_EXCEEDED while the inbox of the server is full: the server
 * will retry.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
 */
export async function receiveTransaction(app: ReceivingApp, transaction: ReceivedTransaction): Promise<string> {
  const { origin, txnId, pdus, edus } = transaction
  const { answer: known, waitingBytes } = await lookUpTransaction(app.database, origin, txnId)
  if (known !== undefined) return known
  if (pdus.length > 0 && waitingBytes >= app.config.limits.totals.server_inbox) throw tooMuchWaits()
  // Before the transaction is marked as received: after a crash in between they are sent again, which is harmless.
  await receiveEdus(app, origin, edus)
  const { accepted, results } = await sort(app, origin, pdus)
  const answer = JSON.stringify({ pdus: results })
  const rows = accepted.map(({ event: { event_id, room_id, pdu }, isEarly }) => {
    return { event_id, room_id, origin, pdu: JSON.stringify(pdu), is_early: isEarly }
  })
  const now = app.clock.now()
  await app.database.write(async (tx) => {
    await storeReceivedTransaction(tx, { origin, txnId, now, answer })
    await storeInInbox(tx, rows, now)
  })
  if (rows.length > 0)
    app.inbound.inbox.look().catch((error) => app.logger.warn({ err: error }, 'processing of inbox failed, will retry'))
  return answer
}

function tooMuchWaits(): MatrixError {
  const message = 'The inbox for events of your server is full. Send them again later.'
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { retry_after_ms: FULL_REST_MS })
}

/** `isEarly`: a join of its room is in progress, so that even the server ACL is not known yet. */
type Sorted = { accepted: { event: Event; isEarly: boolean }[]; results: Results }

/** Runs the checks that do not need the room's history. */
async function sort(app: ReceivingApp, origin: ServerName, pdus: readonly unknown[]): Promise<Sorted> {
  const ofRooms = new Map<RoomId, unknown[]>()
  for (const pdu of pdus) {
    const roomId = roomIdOf(pdu)
    if (roomId !== undefined) ofRooms.set(roomId, [...(ofRooms.get(roomId) ?? []), pdu])
  }
  // In this order: a room whose join ends in between is then known.
  const joining = await loadRoomsBeingJoined(app.database, [...ofRooms.keys()], app.clock.now())
  const versions = await loadRoomVersions(app.database, ofRooms.keys())
  const sorted: Sorted = { accepted: [], results: {} }
  for (const [roomId, ofRoom] of ofRooms) {
    const version = joining.get(roomId) ?? versions.get(roomId)
    const isEarly = joining.has(roomId)
    const refusal = version && !isEarly ? await refusalOfServer(app, roomId, origin) : undefined
    const room = { version, roomId, origin, pdus: ofRoom, refusal: version ? refusal : NOT_THERE, isEarly }
    await sortRoom(app, room, sorted)
  }
  return sorted
}

const NOT_THERE = 'This server is not in that room'

type SortedRoom = {
  version: RoomVersion | undefined
  roomId: RoomId
  origin: ServerName
  pdus: unknown[]
  refusal: string | undefined
  isEarly: boolean
}

async function sortRoom(app: ReceivingApp, room: SortedRoom, { accepted, results }: Sorted): Promise<void> {
  // Without the room version, event IDs are unknown, except for events that contain them.
  if (!room.version) {
    for (const pdu of room.pdus) {
      const { event_id: id } = pdu as { event_id?: unknown }
      if (typeof id === 'string' && isEventId(id)) results[id] = { error: room.refusal ?? '' }
    }
    return
  }
  for (const verified of await verifyEvents(app, room.version, room.pdus)) {
    const id = verified.ok ? verified.event.event_id : verified.eventId
    const error = verified.ok ? await refusalOfEvent(app, verified.event, room) : verified.reason
    if (id !== undefined) results[id] = error === undefined ? {} : { error }
    const isTaken = verified.ok && room.refusal === undefined && verified.event.room_id === room.roomId
    if (isTaken) accepted.push({ event: verified.event, isEarly: room.isEarly })
    if (!verified.ok && verified.unverified?.room_id === room.roomId && room.refusal === undefined)
      app.inbound.unverifiedEvents.keep({ origin: room.origin, version: room.version, event: verified.unverified })
  }
}

/** Invites in rooms that this server is not in may be rescinded. */
async function refusalOfEvent(
  app: ReceivingApp,
  event: Event,
  { version, roomId, refusal }: { version: RoomVersion | undefined; roomId: RoomId; refusal: string | undefined },
): Promise<string | undefined> {
  if (refusal === undefined || !version || event.room_id !== roomId) return refusal
  return (await receiveRescindedInvite(app, version, event)) ? undefined : refusal
}

function roomIdOf(pdu: unknown): RoomId | undefined {
  const roomId = (pdu as { room_id?: unknown } | null)?.room_id
  return typeof roomId === 'string' && isRoomId(roomId) ? roomId : undefined
}
