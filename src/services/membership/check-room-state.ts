import { z } from 'zod'
import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import { type EventId, isRoomId, isServerName, type RoomId, type ServerName } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import { startTask } from '../../infra/concurrency/start-task.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { findTask, isTaskUnderWay, updateTask } from '../../storage/jobs/tasks.ts'
import { loadRoomServers } from '../../storage/rooms/membership/room-servers.ts'
import { type LockedRoom, roomToRead } from '../../storage/rooms/timeline/locked-room.ts'
import { findBeginDepth } from '../../storage/rooms/timeline/room-heads.ts'
import { LostStateError } from '../../storage/rooms/timeline/room-state.ts'
import type { TaskStatus } from '../../storage/schema/administration.ts'
import { compareWithPeer, type PeerComparison } from '../federation/requests/compare-with-peer.ts'
import { compareState, type StateComparison } from '../rooms/administration/compare-state.ts'
import { requireRoom } from '../rooms/administration/describe-room.ts'
import { repairState } from '../rooms/administration/repair-state.ts'
import { beginReplay, type Replay, replayPage, withoutCaches } from '../rooms/administration/replay-states.ts'
import { runInRoom } from '../rooms/timeline/run-in-room.ts'

/** The task and job that recomputes the state of a room. */
export const CHECK_ROOM_STATE = 'check_room_state'

/** Peers that are asked if none are named. */
const DEFAULT_PEERS = 3
/** At most, also if they are named. */
export const MAX_PEERS = 10
/** Forward extremities before which each peer is asked. */
const MAX_ENDS = 5
const PEER_TIMEOUT_MS = 60_000

type StateCheck = {
  roomId: RoomId
  /** The servers whose state is compared; empty: those with most members. */
  peers: readonly ServerName[]
  /** Whether a stored state that differs from the recomputed one is replaced. */
  repairs: boolean
}

/** The findings of a check; `is_right`: the stored state is the recomputed one. */
export type StateReport = Partial<StateComparison> & {
  events: number
  /** Events whose stored states differ from the recomputed ones. */
  wrong_events: number
  is_right?: boolean
  is_repaired: boolean
  peers: PeerComparison[]
}

/**
 * Begins a task that recomputes the state of a room, and compares it with the stored one and with peers. Returns its
 * ID. Throws M_NOT_FOUND, M_UNKNOWN for a room whose state is still being fetched, and M_INVALID_PARAM if such a task
 * has not ended.
 */
export async function beginStateCheck(app: App, { roomId, peers, repairs }: StateCheck): Promise<string> {
  requireFullState(await requireRoom(app, roomId))
  const payload = { room_id: roomId, peers: [...peers], repairs }
  const { taskId } = await startTask(app, { action: CHECK_ROOM_STATE, resourceId: roomId, payload }, async (tx) => {
    if (await isTaskUnderWay(tx, CHECK_ROOM_STATE, roomId))
      throw new InvalidParamError('The state of this room is being checked already. See scheduled_tasks.')
  })
  return taskId
}

function requireFullState({ is_partial: isPartial }: { is_partial: boolean }): void {
  if (!isPartial) return
  throw new MatrixError(400, 'M_UNKNOWN', 'This server is still fetching the state of the room. Try again later.')
}

/** Returns how far a check is, and what it has found. Throws M_NOT_FOUND. */
export async function findStateCheck({ database }: Pick<App, 'database'>, taskId: string) {
  const task = await findTask(database, taskId)
  if (task?.action !== CHECK_ROOM_STATE) throw new NotFoundError('There is no such check, or it ended long ago')
  const { status, resource_id: room_id, result, error } = task
  return { task_id: taskId, room_id, status, ...(JSON.parse(result) as Partial<StateReport>), error }
}

const payload = z.object({
  task_id: z.string(),
  room_id: z.string().refine(isRoomId),
  peers: z.array(z.string().refine(isServerName)),
  repairs: z.boolean(),
})

/** Runs the job. It changes nothing before the transaction of the repair, so that a repeated job begins again. */
export async function runStateCheck(app: App, job: Json): Promise<void> {
  const { task_id: taskId, room_id: roomId, peers, repairs } = payload.parse(job)
  const before: Partial<StateReport> = JSON.parse((await findTask(app.database, taskId))?.result ?? '{}')
  const report: StateReport = { events: 0, wrong_events: 0, is_repaired: false, ...before, peers: [] }
  const save = (tx: Tx, status: TaskStatus = 'active', error?: string) => {
    const result = report as unknown as Json
    return updateTask(tx, { taskId, status, result, now: app.clock.now(), ...(error !== undefined && { error }) })
  }
  const store = (status: TaskStatus, error?: string) => app.database.write((tx) => save(tx, status, error))
  await store('active')
  try {
    await checkState(app, { roomId, peers, repairs }, { report, save, store: () => store('active') })
  } catch (error) {
    app.stopping.throwIfAborted()
    // A retry would end the same way.
    if (!(error instanceof MatrixError || error instanceof LostStateError)) throw error
    return store('failed', error.message)
  }
  await store('complete')
}

type Reporting = { report: StateReport; save: (tx: Tx) => Promise<void>; store: () => Promise<void> }

async function checkState(app: App, { roomId, peers, repairs }: StateCheck, reporting: Reporting): Promise<void> {
  const { report, store } = reporting
  const head = await requireRoom(app, roomId)
  requireFullState(head)
  const room = withoutCaches(roomToRead(app.database, head))
  const replay = beginReplay(await findBeginDepth(app.database, roomId))
  // If the process died after the repair, only peers are left to be asked.
  if (!report.is_repaired) {
    await replayRest(app, room, replay, { report, each: store })
    const command = (locked: LockedRoom) => compareLocked(app, locked, { replayed: room, replay, repairs, reporting })
    // Nothing comes between the comparison and the repair.
    await runInRoom(app, roomId, command, { goesFirst: true })
    await store()
  }
  for (const server of await peersOf(app, roomId, peers)) {
    report.peers.push(...(await comparePeer(app, server, { room, ends: head.forward_extremities, replay })))
    await store()
  }
}

async function replayRest(
  app: App,
  room: LockedRoom,
  replay: Replay,
  { report, each }: { report: StateReport; each?: () => Promise<void> },
): Promise<void> {
  for (let isDone = false; !isDone; ) {
    app.stopping.throwIfAborted()
    isDone = await replayPage(app, room, replay)
    Object.assign(report, { events: replay.events, wrong_events: replay.changed.size })
    await each?.()
  }
}

type Comparing = { replayed: LockedRoom; replay: Replay; repairs: boolean; reporting: Reporting }

/** Replays the events that came in the meantime. It may run again, so it changes nothing of the replay before. */
async function compareLocked(
  app: App,
  locked: LockedRoom,
  { replayed, replay: before, repairs, reporting: { report, save } }: Comparing,
): Promise<void> {
  requireFullState(locked.head!)
  const room = withoutCaches({ ...locked, nodes: new Map(replayed.nodes) })
  const replay: Replay = { ...before, changed: new Map(before.changed) }
  await replayRest(app, room, replay, { report })
  const compared = await compareState(app, room, replay)
  Object.assign(report, compared.comparison, { is_right: compared.isEqual, is_repaired: false })
  if (!repairs || compared.isEqual) return
  for (const [address, node] of room.nodes) locked.nodes.set(address, node)
  await repairState(app, locked, { compared, replay })
  report.is_repaired = true
  locked.writes.push(save)
}

async function peersOf(app: App, roomId: RoomId, named: readonly ServerName[]): Promise<ServerName[]> {
  const servers = named.length > 0 ? named : await loadRoomServers(app.database, roomId, DEFAULT_PEERS + 1)
  const others = [...new Set(servers)].filter((server) => server !== app.serverName)
  return others.slice(0, named.length > 0 ? MAX_PEERS : DEFAULT_PEERS)
}

/** Compares before each of the room's ends, or the newest events before it that the peer knows. */
async function comparePeer(
  app: App,
  server: ServerName,
  { room, ends, replay }: { room: LockedRoom; ends: readonly EventId[]; replay: Replay },
): Promise<PeerComparison[]> {
  const { room_id: roomId, version } = room.head!
  const found = new Map<EventId | null, PeerComparison>()
  for (const from of ends.slice(-MAX_ENDS)) {
    const signal = AbortSignal.any([app.stopping, AbortSignal.timeout(PEER_TIMEOUT_MS)])
    const compared = await compareWithPeer(
      app,
      { server, roomId, version, signal },
      {
        from,
        room,
        stateBefore: ({ event_id: id, state_before }) => replay.changed.get(id)?.state_before ?? state_before,
      },
    )
    app.stopping.throwIfAborted()
    found.set(compared.event_id, compared)
  }
  if (found.size > 1) found.delete(null)
  return [...found.values()]
}
