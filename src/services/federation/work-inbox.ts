import type { App } from '../../app.ts'
import type { Pdu } from '../../core/events/pdu.ts'
import { toEvent } from '../../core/events/to-event.ts'
import type { RoomId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation-error.ts'
import {
  finishInboxRoom,
  leaseInboxRooms,
  loadInbox,
  releaseInboxRooms,
  removeFromInbox,
  renewInboxLeases,
  restInInbox,
} from '../../storage/federation-inbox.ts'
import type { InboxRow } from '../../storage/federation-inbox-schema.ts'
import { loadRoomVersions } from '../../storage/room-versions.ts'
import { appendRemoteEvent, MissingEventsError } from '../rooms/append-remote-event.ts'
import { PolicySignatureNeeded } from '../rooms/policy-server.ts'
import type { TakingApp } from './append-with-help.ts'
import { takeEvent } from './take-event.ts'

export type InboxApp = TakingApp & Pick<App, 'database' | 'clock' | 'random'>

/** Works off what has been received. Each room is worked on by one process at a time, in order; rooms do not wait for one another. */
export type Inbox = {
  /** Looks for rooms with work, now. */
  look(): Promise<void>
  /** Keeps the rooms that this process works on. */
  renew(): Promise<void>
  /** Waits until nothing is under way in this process. */
  idle(): Promise<void>
  /** Gives back what this process works on, once that has come to its end. */
  stop(): Promise<void>
}

/** As many rooms may wait for slow servers without others waiting for them. */
const ROOMS_AT_ONCE = 64
const PAGE = 50
/** When a process dies, others take its rooms after this time. */
const LEASE_MS = 15_000
const FIRST_REST_MS = 2000
/** Some four minutes with the rests between. */
const MOST_ATTEMPTS = 7

const inboxes = new WeakMap<App['database'], Inbox>()

/** The inbox of a running server. */
export function inboxOf(app: InboxApp): Inbox {
  const known = inboxes.get(app.database)
  if (known) return known
  const made = createInbox(app)
  inboxes.set(app.database, made)
  return made
}

function createInbox(app: InboxApp): Inbox {
  const holder = app.random.token(12)
  const working = new Set<Promise<void>>()

  async function look(): Promise<void> {
    const limit = ROOMS_AT_ONCE - working.size
    if (limit <= 0 || app.stopping.aborted) return
    const now = app.clock.now()
    for (const roomId of await app.database.write((tx) =>
      leaseInboxRooms(tx, { holder, now, until: now + LEASE_MS, limit }),
    )) {
      const work = workOff(app, roomId, holder)
        .catch((error) =>
          app.logger.error({ err: error, room_id: roomId }, 'taking in events failed; it is tried again'),
        )
        .finally(() => working.delete(work))
      working.add(work)
    }
  }

  return {
    look,
    async renew() {
      if (working.size === 0) return
      await app.database.write((tx) => renewInboxLeases(tx, { holder, until: app.clock.now() + LEASE_MS }))
    },
    async idle() {
      while (working.size > 0) await Promise.all(working)
    },
    async stop() {
      await Promise.all(working)
      await app.database.write((tx) => releaseInboxRooms(tx, holder))
    },
  }
}

/** Takes in the events of a room until there are no more. */
async function workOff(app: InboxApp, roomId: RoomId, holder: string): Promise<void> {
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  while (!app.stopping.aborted) {
    const { arrivals, events } = await loadInbox(app.database, { roomId, now: app.clock.now(), limit: PAGE })
    const [first] = events
    if (!first) {
      if (await app.database.write((tx) => finishInboxRoom(tx, { roomId, holder, arrivals }))) return
    } else if (!version) {
      await app.database.write((tx) => removeFromInbox(tx, events))
    } else if ((await takeMany(app, roomId, { version, events })) === 0) {
      await takeOne(app, version, first)
    }
  }
}

/** Takes in, in one transaction, the first events of which all that they need is here; returns how many. */
async function takeMany(
  app: InboxApp,
  roomId: RoomId,
  { version, events }: { version: RoomVersion; events: readonly InboxRow[] },
): Promise<number> {
  try {
    return await app.rooms.run(roomId, async (room) => {
      const done: InboxRow[] = []
      for (const row of events) {
        try {
          const { outcome, reason } = await appendRemoteEvent(app, room, eventOf(version, row))
          noteOutcome(app, row, { outcome, reason })
          done.push(row)
        } catch (error) {
          if (!(error instanceof MissingEventsError || error instanceof PolicySignatureNeeded)) throw error
          break
        }
      }
      if (done.length > 0) room.writes.push((tx) => removeFromInbox(tx, done))
      return done.length
    })
  } catch (error) {
    app.logger.warn(
      { err: error, room_id: roomId },
      'events could not be taken in together; one by one they are tried again',
    )
    return 0
  }
}

/** Takes in one event, with what it refers to; what fails for good is dropped, so that it holds up no other. */
async function takeOne(app: InboxApp, version: RoomVersion, row: InboxRow): Promise<void> {
  const { origin, room_id: roomId, event_id } = row
  try {
    const outcome = await takeEvent(app, { origin, roomId, version, event: eventOf(version, row) })
    noteOutcome(app, row, outcome)
  } catch (error) {
    if (app.stopping.aborted) return
    const mayHelp = !(error instanceof FederationError) || error.retryable
    if (mayHelp && row.attempts < MOST_ATTEMPTS) {
      app.logger.info(
        { err: error, room_id: roomId, event_id, origin },
        'an event cannot be taken in now; it is tried again',
      )
      const retryTs = app.clock.now() + FIRST_REST_MS * 2 ** row.attempts
      return app.database.write((tx) => restInInbox(tx, { event_id, retryTs }))
    }
    app.logger.warn({ err: error, room_id: roomId, event_id, origin }, 'an event cannot be taken in and is dropped')
  }
  await app.database.write((tx) => removeFromInbox(tx, [row]))
}

function eventOf(version: RoomVersion, row: InboxRow) {
  return toEvent(version, JSON.parse(row.pdu) as Pdu, { event_id: row.event_id })
}

function noteOutcome(
  app: InboxApp,
  { room_id, event_id, origin }: InboxRow,
  { outcome, reason }: { outcome: string; reason?: string | undefined },
): void {
  if (reason !== undefined) app.logger.info({ room_id, event_id, origin, reason }, `an event is ${outcome}`)
}
