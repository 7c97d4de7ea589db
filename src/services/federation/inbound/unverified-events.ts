import type { App } from '../../../app.ts'
import type { EventId, ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { type NewInboxRow, storeInInbox } from '../../../storage/federation/federation-inbox.ts'
import { refusalOfServer } from '../trust/may-send-into.ts'
import { verifyEvents } from '../trust/verify-events.ts'
import type { Inbox } from './inbox.ts'
import type { Unverified, UnverifiedEvents } from './unverified.ts'
import type { InboxApp } from './work-inbox-room.ts'

const MOST = 1000
const MOST_OF_SERVER = 200
const FIRST_BACK_OFF_MS = 5000
const LONGEST_BACK_OFF_MS = 120_000
const KEPT_MS = 3_600_000

function rowOf(origin: ServerName, { event_id, room_id, pdu }: Event): NewInboxRow {
  return { event_id, room_id, origin, pdu: JSON.stringify(pdu), is_early: false }
}

type Delayed = Unverified & { until: number; backOffMs: number; retryTs: number }

/** Creates the unverified events of a process. */
export function createUnverifiedEvents(app: InboxApp & { inbox: Inbox }): UnverifiedEvents {
  const delayed = new Map<EventId, Delayed>()
  let isTrying = false

  function keep(unverified: Unverified): void {
    const { origin, event } = unverified
    if (delayed.has(event.event_id) || delayed.size >= MOST) return
    let ofServer = 0
    for (const each of delayed.values()) if (each.origin === origin) ofServer++
    if (ofServer >= MOST_OF_SERVER) return
    const now = app.clock.now()
    const times = { until: now + KEPT_MS, backOffMs: FIRST_BACK_OFF_MS, retryTs: now + FIRST_BACK_OFF_MS }
    delayed.set(event.event_id, { ...unverified, ...times })
  }

  async function retry(): Promise<void> {
    const now = app.clock.now()
    const due = [...delayed.values()].filter(({ retryTs }) => retryTs <= now)
    if (isTrying || due.length === 0) return
    isTrying = true
    try {
      // Waiting for one server's keys does not delay other servers' events.
      const byServer = Map.groupBy(due, (each) => each.origin)
      await Promise.all([...byServer].map(([origin, ofServer]) => tryAllAgain(origin, ofServer)))
    } finally {
      isTrying = false
    }
  }

  async function tryAllAgain(origin: ServerName, due: readonly Delayed[]): Promise<void> {
    const keyRing = app.keyRing.onBehalfOf({ kind: 'server', id: origin })
    for (const [version, ofVersion] of Map.groupBy(due, (each) => each.version))
      await tryAgain(keyRing, version, ofVersion)
  }

  async function tryAgain(keyRing: App['keyRing'], version: RoomVersion, due: readonly Delayed[]): Promise<void> {
    const pdus = due.map(({ event }) => event.pdu)
    const arrived: NewInboxRow[] = []
    const done: EventId[] = []
    for (const [place, verified] of (await verifyEvents({ keyRing }, version, pdus)).entries()) {
      const each = due[place]!
      if (verified.ok && (await isWelcome(app, each))) arrived.push(rowOf(each.origin, verified.event))
      if (!verified.ok && verified.unverified && each.until > app.clock.now()) backOff(each, app.clock.now())
      else done.push(each.event.event_id)
    }
    if (arrived.length > 0) await take(arrived)
    for (const id of done) delayed.delete(id)
  }

  /** Puts them into the inbox like new arrivals. */
  async function take(rows: readonly NewInboxRow[]): Promise<void> {
    await app.database.write((tx) => storeInInbox(tx, rows, app.clock.now()))
    await app.inbox.look()
  }

  return { keep, retry, count: () => delayed.size }
}

async function isWelcome(app: InboxApp, { origin, event }: Delayed): Promise<boolean> {
  return (await refusalOfServer(app, event.room_id, origin)) === undefined
}

function backOff(each: Delayed, now: number): void {
  each.retryTs = now + each.backOffMs
  each.backOffMs = Math.min(2 * each.backOffMs, LONGEST_BACK_OFF_MS)
}
