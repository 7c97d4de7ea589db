import type { App } from '../../app.ts'
import { BadJsonError } from '../../core/errors.ts'
import { serverNameOf } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { finaliseDelayedEvent, findDelayedEvent, restartDelayedEvent } from '../../storage/rooms/delayed-events.ts'
import { countDelegatedLeaves, lockDelegatedLeave, putDelegatedLeave } from '../../storage/rtc/delegated-leaves.ts'
import type { DelayedEventRow } from '../../storage/schema/delayed-events.ts'
import type { DelegatedLeaveRow } from '../../storage/schema/rtc.ts'
import { requireLivekit } from './livekit.ts'
import { livekitRoomOf, type Participant, requireInCallRoom } from './livekit-tokens.ts'
import { discoverClientApi, manageRemoteDelayedEvent } from './remote-delayed-event.ts'

/** A delayed event that ends a membership. `delayTimeout`: its delay in milliseconds, as the client says. */
export type DelayedLeave = { delayId: string; delayTimeout: number | undefined }

/** How long a participant may take to connect to LiveKit, after handing over the leave event. */
const CONNECT_MS = 60_000
/** Shorter delays would end before the next check of LiveKit. */
const SHORTEST_DELAY_MS = 2000
const LONGEST_REMOTE_DELAY_MS = 24 * 3_600_000

type DelegationApp = Pick<App, 'config' | 'database' | 'serverName' | 'clock' | 'http' | 'stopping'>

/**
 * Takes over the delayed leave event of a participant: from now on this server restarts it while the participant is in
 * LiveKit, and sends it when they are gone. It replaces an earlier one of the same participant. Throws M_FORBIDDEN for
 * users who are not joined, and M_BAD_JSON for an event that is not theirs, or no longer scheduled, and beyond limits:
 * clients then restart the event themselves.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4195
 */
export async function delegateLeave(app: DelegationApp, participant: Participant, leave: DelayedLeave): Promise<void> {
  requireLivekit(app)
  const { userId, roomId, slotId, identity } = participant
  await requireInCallRoom(app, roomId, userId)
  const isLocal = serverNameOf(userId) === app.serverName
  const remote = isLocal ? undefined : await prepareRemote(app, participant, leave)
  await app.database.write(async (tx) => {
    const now = app.clock.now()
    const row: DelegatedLeaveRow = {
      livekit_room: livekitRoomOf(roomId, slotId),
      identity,
      user_id: userId,
      server_name: serverNameOf(userId),
      delay_id: leave.delayId,
      ...(remote ?? (await restartOwn(tx, { participant, leave, now }))),
      restarted_ts: now,
      connected: false,
      gone_ts: now + CONNECT_MS,
      ready_ts: now,
    }
    const replaced = await lockDelegatedLeave(tx, row)
    await requirePlace(app, tx, row)
    await putDelegatedLeave(tx, row)
    if (replaced) await cancelReplaced(tx, { replaced, row, now })
  })
}

type EventParts = Pick<DelegatedLeaveRow, 'base_url' | 'delay_ms'>

/** Restarts the delayed event of a local user. */
async function restartOwn(
  tx: Tx,
  { participant: { userId, roomId }, leave, now }: { participant: Participant; leave: DelayedLeave; now: number },
): Promise<EventParts> {
  const { delayId } = leave
  const event = await findDelayedEvent(tx, delayId)
  const isTheirs = event?.user_id === userId && event.room_id === roomId
  if (!isTheirs) throw new BadJsonError('delay_id: you have no such delayed event in this room')
  requireLength(event.delay_ms)
  if (await restartDelayedEvent(tx, delayId, now)) return { base_url: null, delay_ms: event.delay_ms }
  throw new BadJsonError('delay_id: the delayed event is no longer scheduled')
}

/** Restarts the delayed event of a remote user at their server, which their OpenID token has proved. */
async function prepareRemote(
  app: DelegationApp,
  { userId }: Participant,
  { delayId, delayTimeout }: DelayedLeave,
): Promise<EventParts> {
  if (delayTimeout === undefined) throw new BadJsonError('delay_timeout: is missing')
  requireLength(delayTimeout)
  // As segments of a path they would lead upwards.
  if (['.', '..'].includes(delayId)) throw new BadJsonError('delay_id: is not the ID of a delayed event')
  const server = serverNameOf(userId)
  const base_url = await discoverClientApi(app, server)
  const outcome = await manageRemoteDelayedEvent(app, { base_url, delay_id: delayId }, 'restart')
  if (outcome !== 'done') throw new BadJsonError(`delay_id: ${server} does not restart this delayed event`)
  return { base_url, delay_ms: Math.min(delayTimeout, LONGEST_REMOTE_DELAY_MS) }
}

function requireLength(delayMs: number): void {
  if (delayMs >= SHORTEST_DELAY_MS) return
  throw new BadJsonError(`Delays below ${SHORTEST_DELAY_MS} ms cannot be handed over. Schedule a longer one`)
}

async function requirePlace(
  { config, serverName }: Pick<App, 'config' | 'serverName'>,
  tx: Tx,
  row: DelegatedLeaveRow,
): Promise<void> {
  const { counts } = config.limits
  const { ofUser, ofServer, all } = await countDelegatedLeaves(tx, row)
  const isFull =
    ofUser >= counts.delegated_leaves ||
    (row.server_name !== serverName && ofServer >= counts.delegated_leaves_of_server) ||
    all >= counts.delegated_leaves_in_all
  if (isFull) throw new BadJsonError('Too many delayed events are handed over. Restart this one yourself')
}

/** Cancels an earlier leave event of the same membership: it would end the membership that the new one protects. */
async function cancelReplaced(
  tx: Tx,
  { replaced, row, now }: { replaced: DelegatedLeaveRow; row: DelegatedLeaveRow; now: number },
): Promise<void> {
  if (replaced.delay_id === row.delay_id || replaced.base_url !== null || row.base_url !== null) return
  const [older, newer] = [await findDelayedEvent(tx, replaced.delay_id), await findDelayedEvent(tx, row.delay_id)]
  if (older && newer && isSameKey(older, newer)) await finaliseDelayedEvent(tx, { delayId: older.delay_id, now })
}

function isSameKey(one: DelayedEventRow, other: DelayedEventRow): boolean {
  return (['user_id', 'room_id', 'type', 'state_key'] as const).every((part) => one[part] === other[part])
}
