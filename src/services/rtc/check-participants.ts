import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { ServerName } from '../../core/ids.ts'
import { type ActiveWork, createActiveWork } from '../../infra/concurrency/active-work.ts'
import { restartDelayedEvents } from '../../storage/rooms/delayed-events.ts'
import {
  deleteLeaves,
  leaseDueLeaves,
  noteLeaveRestarted,
  postponeLeave,
  storeCheckedLeaves,
} from '../../storage/rtc/delegated-leaves.ts'
import type { DelegatedLeaveRow } from '../../storage/schema/rtc.ts'
import { manageDelayedEvent } from '../rooms/delayed/manage-delayed-event.ts'
import { requireLivekit } from './livekit.ts'
import { listLivekitIdentities } from './livekit-api.ts'
import { manageRemoteDelayedEvent } from './remote-delayed-event.ts'

/** Concurrent checks of rooms in LiveKit, and requests to other servers. */
const ROOMS_AT_ONCE = 50
const REMOTE_AT_ONCE = 50
const REMOTE_OF_SERVER = 10
/** The lease of a process that checks a room: longer than a request to LiveKit. */
const LEASE_MS = 8000
const CHECK_MS = { shortest: 1000, longest: 5000 }
/** A delayed event is restarted when this part of its delay has passed, or will have passed at the next check. */
const RESTARTED_PART = 0.7
const RETRY_MS = 5000

/** Checks whether participants who handed over their leave event are in LiveKit. */
export type ParticipantChecks = {
  /** Starts checks of the due rooms, up to the limit; `onEnd` is called whenever one has ended. */
  begin(onEnd: () => void): Promise<void>
  /** Returns the rooms in LiveKit that are being checked. */
  rooms(): string[]
  /** The checks, and the requests to other servers that they began. */
  readonly active: Pick<ActiveWork<string, undefined>, 'size' | 'idle'>
}

export function createParticipantChecks(app: App): ParticipantChecks {
  const rooms = createActiveWork<string>()
  const remote = createActiveWork<string, ServerName>()

  /** Other servers may be slow: the checks do not wait for them, and none of them takes the places of all others. */
  function manageRemote(leave: DelegatedLeaveRow, action: 'restart' | 'send'): void {
    const server = leave.server_name
    const ofServer = remote.abouts().filter((each) => each === server).length
    if (remote.size >= REMOTE_AT_ONCE || ofServer >= REMOTE_OF_SERVER) return
    // Delay IDs are unique to their server only.
    remote.begin(`${server} ${leave.delay_id}`, server, () => carryOutRemote(app, leave, action))
  }

  return {
    rooms: rooms.keys,
    active: {
      get size() {
        return rooms.size + remote.size
      },
      async idle() {
        await rooms.idle()
        await remote.idle()
      },
    },
    async begin(onEnd) {
      const limit = ROOMS_AT_ONCE - rooms.size
      if (limit <= 0 || app.stopping.aborted) return
      const now = app.clock.now()
      const due = { now, until: now + LEASE_MS, limit, except: rooms.keys() }
      const leased = await app.database.write((tx) => leaseDueLeaves(tx, due))
      for (const [room, leaves] of Map.groupBy(leased, ({ livekit_room }) => livekit_room)) {
        rooms.begin(room, undefined, () => checkRoom(app, { room, leaves, manageRemote }))
        rooms.ended(room)?.then(onEnd)
      }
    },
  }
}

type RoomCheck = {
  room: string
  leaves: readonly DelegatedLeaveRow[]
  manageRemote(leave: DelegatedLeaveRow, action: 'restart' | 'send'): void
}

/** If a check fails, the room is checked again once its lease expires. */
async function checkRoom(app: App, { room, leaves, manageRemote }: RoomCheck): Promise<void> {
  try {
    const present = await presentIn(app, room)
    if (app.stopping.aborted) return await release(app, leaves)
    const judged = judge(app, leaves, present)
    const isGone = ({ now }: Judged) => now.gone_ts <= app.clock.now()
    const [gone, kept] = [judged.filter(isGone), judged.filter((each) => !isGone(each))]
    await keep(app, kept)
    for (const { now, restart } of kept) if (restart && now.base_url !== null) manageRemote(now, 'restart')
    for (const { leased } of gone) {
      if (leased.base_url !== null) manageRemote(leased, 'send')
      else await sendOwn(app, leased)
    }
  } catch (error) {
    app.logger.warn({ err: error }, 'check of the participants of a call failed, will retry')
  }
}

/** Lets another process check a room immediately. */
async function release({ database, clock }: App, leaves: readonly DelegatedLeaveRow[]): Promise<void> {
  const ready_ts = clock.now()
  await database.write((tx) =>
    storeCheckedLeaves(
      tx,
      leaves.map((leased) => ({ leased, now: { ...leased, ready_ts } })),
    ),
  )
}

/** Returns the identities of a room; undefined if LiveKit does not answer. */
async function presentIn(app: App, room: string): Promise<Set<string> | undefined> {
  try {
    return await listLivekitIdentities(app, requireLivekit(app), room)
  } catch (error) {
    if (app.stopping.aborted) return undefined
    app.logger.warn({ err: error }, 'LiveKit did not list the participants of a call, check calls.livekit')
    return undefined
  }
}

/** `restart`: the delayed event has to be restarted now. */
type Judged = { leased: DelegatedLeaveRow; now: DelegatedLeaveRow; restart: boolean }

/** Participants whom LiveKit has not confirmed for the grace period count as gone. */
function judge(
  { clock, config }: Pick<App, 'clock' | 'config'>,
  leaves: readonly DelegatedLeaveRow[],
  present: ReadonlySet<string> | undefined,
): Judged[] {
  const now = clock.now()
  const { shortest, longest } = CHECK_MS
  // The rooms' participants stay together, so that each check asks LiveKit once.
  const pause = Math.max(shortest, Math.min(longest, ...leaves.map(({ delay_ms }) => delay_ms / 3)))
  return leaves.map((leased) => {
    const isPresent = present?.has(leased.identity) === true
    const gone_ts = isPresent ? now + config.calls.livekit.grace_period : leased.gone_ts
    const ready_ts = Math.max(now, Math.min(Math.ceil(now + pause), gone_ts))
    const restart = leased.restarted_ts + leased.delay_ms * RESTARTED_PART < now + pause
    const isRestarted = restart && leased.base_url === null
    return {
      leased,
      restart,
      now: {
        ...leased,
        connected: leased.connected || isPresent,
        gone_ts,
        ready_ts,
        restarted_ts: isRestarted ? now : leased.restarted_ts,
      },
    }
  })
}

/** Restarts the delayed events that are due, and forgets those that are no longer scheduled. */
async function keep(app: App, kept: readonly Judged[]): Promise<void> {
  if (kept.length === 0) return
  const restarted = kept.filter(({ restart, leased }) => restart && leased.base_url === null)
  await app.database.write(async (tx) => {
    const ids = restarted.map(({ leased }) => leased.delay_id)
    const ended = new Set(await restartDelayedEvents(tx, ids, app.clock.now()))
    await storeCheckedLeaves(tx, kept)
    await deleteLeaves(
      tx,
      kept.flatMap(({ leased }) => (ended.has(leased.delay_id) ? [leased] : [])),
    )
  })
}

/** Sends the leave event of a local user. Refused ones are left to be refused at their time. */
async function sendOwn(app: App, leave: DelegatedLeaveRow): Promise<void> {
  try {
    await manageDelayedEvent(app, leave.delay_id, 'send')
  } catch (error) {
    if (!(error instanceof MatrixError) || error.status >= 500) {
      app.logger.warn({ err: error }, 'sending of delegated leave event failed, will retry')
      return app.database.write((tx) => postponeLeave(tx, leave, app.clock.now() + RETRY_MS))
    }
  }
  await app.database.write((tx) => deleteLeaves(tx, [leave]))
}

/**
 * Restarts or sends the leave event of a remote user. A server that does not answer is asked again, more and more
 * seldom, until the event has been sent at its time.
 */
async function carryOutRemote(app: App, leave: DelegatedLeaveRow, action: 'restart' | 'send'): Promise<void> {
  try {
    const outcome = await manageRemoteDelayedEvent(app, { ...leave, base_url: leave.base_url! }, action)
    const now = app.clock.now()
    const isOver = action === 'send' && now >= leave.restarted_ts + leave.delay_ms
    await app.database.write(async (tx) => {
      if (outcome === 'ended' || (outcome === 'done' && action === 'send') || isOver) await deleteLeaves(tx, [leave])
      else if (outcome === 'done') await noteLeaveRestarted(tx, leave, now)
      else if (action === 'send') await postponeLeave(tx, leave, now + Math.max(RETRY_MS, now - leave.gone_ts))
    })
  } catch (error) {
    app.logger.warn({ err: error }, 'change of a remote leave event failed, will retry')
  }
}
