import type { App } from '../../../app.ts'
import { toEvent } from '../../../core/events/to-event.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { jitteredBackOff } from '../../../infra/concurrency/back-off.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import {
  finishInboxRoom,
  loadInbox,
  removeFromInbox,
  restInInbox,
} from '../../../storage/federation/federation-inbox.ts'
import { loadRoomsBeingJoined } from '../../../storage/rooms/membership/room-joins.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { InboxRow } from '../../../storage/schema/federation-inbox.ts'
import { appendRemoteEvent, MissingEventsError } from '../../rooms/timeline/append-remote-event.ts'
import { ApprovalNeeded } from '../../rooms/timeline/approval-needed.ts'
import { refusalOfServer } from '../trust/may-send-into.ts'
import type { IngestApp } from './append-with-help.ts'
import { ingestEvent } from './ingest-event.ts'
import { CrowdedOutError, createServerTurns } from './server-turns.ts'

export type InboxApp = IngestApp & Pick<App, 'database' | 'clock' | 'random'>

/** Drains the inboxes of single rooms. */
export type RoomWorker = {
  /**
   * Ingests the events of a room, whose lease this process holds, until its inbox is empty. Events of one server stay
   * in order.
   */
  workOff(roomId: RoomId): Promise<void>
  /** Returns the number of rooms that only wait for other servers. */
  waitingRooms(): number
  /** Resumes waiting rooms for which events have arrived. */
  tellArrivals(find: (rooms: readonly RoomId[]) => Promise<ReadonlyMap<RoomId, number>>): Promise<void>
}

const PAGE = 50
const BACK_OFF = { first: 2000, longest: 600_000 }
/** Nearly an hour with the back-off. */
const MOST_ATTEMPTS = 14
/** Number of rooms for which one server is asked concurrently, and of rooms that may wait for that; others back off. */
const AT_ONCE_OF_SERVER = 8
const WAITING_FOR_SERVER = 100
/** Fewer than the rooms that a process leases, so that rooms which wait for no server always have a place. */
const WAITING_IN_ALL = 1500
const CROWDED_BACK_OFF_MS = 5000
const JOINING_BACK_OFF_MS = 1000

/** A waiting room, and the number of arrivals when it began to wait. */
type Waiting = { arrivals: number; resume: () => void }

export function createRoomWorker(app: InboxApp, holder: string): RoomWorker {
  const waiting = new Map<RoomId, Waiting>()
  const turns = createServerTurns({ each: AT_ONCE_OF_SERVER, waiting: WAITING_FOR_SERVER, total: WAITING_IN_ALL })

  async function workOff(roomId: RoomId): Promise<void> {
    const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
    // Servers that are being asked about events they sent: only their own further events wait for that.
    const asked = new Map<ServerName, Promise<void>>()
    try {
      while (!app.stopping.aborted) {
        const page = { roomId, holder, now: app.clock.now(), limit: PAGE, except: [...asked.keys()] }
        const found = await loadInbox(app.database, page)
        if (!found) return
        const { arrivals } = found
        const events = await checkEarly(app, roomId, found.events)
        if (events.length === 0 && asked.size > 0) await somethingHappens(roomId, arrivals, asked)
        else if (events.length === 0) {
          if (await app.database.write((tx) => finishInboxRoom(tx, { roomId, holder, arrivals }))) return
        } else if (!version) await app.database.write((tx) => removeFromInbox(tx, events))
        else for (const row of await ingestMany(app, roomId, { version, events })) ask(version, row, asked)
      }
    } finally {
      await Promise.all(asked.values())
    }
  }

  function ask(version: RoomVersion, row: InboxRow, asked: Map<ServerName, Promise<void>>): void {
    const later = () => backOff(app, row, app.clock.now() + CROWDED_BACK_OFF_MS)
    const help = turns(row.origin, () => ingestOne(app, version, row)) ?? later()
    const settled = help
      .catch((error) => (error instanceof CrowdedOutError ? later() : Promise.reject(error)))
      .catch((error) => app.logger.warn({ err: error, room_id: row.room_id }, 'processing of event failed'))
      .finally(() => asked.delete(row.origin))
    asked.set(row.origin, settled)
  }

  async function somethingHappens(
    roomId: RoomId,
    arrivals: number,
    asked: ReadonlyMap<ServerName, Promise<void>>,
  ): Promise<void> {
    const arrived = new Promise<void>((resolve) => waiting.set(roomId, { arrivals, resume: resolve }))
    await Promise.race([arrived, ...asked.values()])
    waiting.delete(roomId)
  }

  return {
    workOff,
    waitingRooms: () => waiting.size,
    async tellArrivals(find) {
      if (waiting.size === 0) return
      const arrivals = await find([...waiting.keys()])
      for (const [roomId, room] of waiting) if (arrivals.get(roomId) !== room.arrivals) room.resume()
    },
  }
}

/** Drops events that arrived during a join if their server may not send into the room, or the join failed. */
async function checkEarly(app: InboxApp, roomId: RoomId, events: readonly InboxRow[]): Promise<readonly InboxRow[]> {
  const early = events.filter(({ is_early }) => is_early)
  if (early.length === 0) return events
  const isBeingJoined = (await loadRoomsBeingJoined(app.database, [roomId], app.clock.now())).size > 0
  const refused = new Set<InboxRow>()
  for (const [origin, ofServer] of Map.groupBy(early, (row) => row.origin)) {
    // Another attempt to join has begun.
    if (isBeingJoined) await backOff(app, ofServer[0]!, app.clock.now() + JOINING_BACK_OFF_MS)
    const isRefused = isBeingJoined || (await refusalOfServer(app, roomId, origin)) !== undefined
    if (isRefused) for (const row of ofServer) refused.add(row)
  }
  if (!isBeingJoined) await app.database.write((tx) => removeFromInbox(tx, [...refused]))
  return events.filter((row) => !refused.has(row))
}

/**
 * Ingests in one transaction the events whose references are all here. Returns the first event of each server with
 * missing references; the server's later events stay in the inbox.
 */
async function ingestMany(
  app: InboxApp,
  roomId: RoomId,
  { version, events }: { version: RoomVersion; events: readonly InboxRow[] },
): Promise<InboxRow[]> {
  try {
    return await app.rooms.run(roomId, async (room) => {
      const done: InboxRow[] = []
      const stuck = new Map<ServerName, InboxRow>()
      for (const row of events) {
        if (stuck.has(row.origin)) continue
        try {
          const { outcome, reason } = await appendRemoteEvent(app, room, eventOf(version, row))
          noteOutcome(app, row, { outcome, reason })
          done.push(row)
        } catch (error) {
          if (!(error instanceof MissingEventsError || error instanceof ApprovalNeeded)) throw error
          stuck.set(row.origin, row)
        }
      }
      if (done.length > 0) room.writes.push((tx) => removeFromInbox(tx, done))
      return [...stuck.values()]
    })
  } catch (error) {
    app.logger.warn({ err: error, room_id: roomId }, 'batch of events failed, retrying one by one')
    return events.slice(0, 1)
  }
}

/** Ingests one event with its references. A permanent failure drops the event, so that it delays no other. */
async function ingestOne(app: InboxApp, version: RoomVersion, row: InboxRow): Promise<void> {
  const { origin, room_id: roomId, event_id } = row
  try {
    // The origin server determines which keys are needed, so they are fetched in its lane.
    const keyRing = app.keyRing.onBehalfOf({ kind: 'server', id: origin })
    const outcome = await ingestEvent({ ...app, keyRing }, { origin, roomId, version, event: eventOf(version, row) })
    noteOutcome(app, row, outcome)
  } catch (error) {
    if (app.stopping.aborted) return
    const mayHelp = !(error instanceof FederationError) || error.retryable
    if (mayHelp && row.attempts < MOST_ATTEMPTS) {
      app.logger.info({ err: error, room_id: roomId, event_id, origin }, 'processing of event failed, will retry')
      return backOff(app, row, app.clock.now() + jitteredBackOff(row.attempts, BACK_OFF, app.random))
    }
    app.logger.warn({ err: error, room_id: roomId, event_id, origin }, 'processing of event failed, event dropped')
  }
  await app.database.write((tx) => removeFromInbox(tx, [row]))
}

function backOff(app: InboxApp, row: InboxRow, retryTs: number): Promise<void> {
  return app.database.write((tx) => restInInbox(tx, row, retryTs))
}

function eventOf(version: RoomVersion, row: InboxRow) {
  return toEvent(version, JSON.parse(row.pdu) as Pdu, { event_id: row.event_id })
}

function noteOutcome(
  app: InboxApp,
  { room_id, event_id, origin }: InboxRow,
  { outcome, reason }: { outcome: string; reason?: string | undefined },
): void {
  if (reason !== undefined) app.logger.info({ room_id, event_id, origin, reason }, `event ${outcome}`)
}
