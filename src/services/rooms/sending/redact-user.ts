import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import { isRoomId, isUserId, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { startTask } from '../../../infra/concurrency/start-task.ts'
import { findTask, updateTask } from '../../../storage/jobs/tasks.ts'
import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEventsOfSender } from '../../../storage/rooms/timeline/events-of-sender.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { redactEvent } from './redact-event.ts'

/** The task and job that redacts events of a user. */
export const REDACT_USER = 'redact_user'

const PAGE = 50
const MAX_FAILURES = 1000

export type UserRedaction = {
  userId: UserId
  /** The administrator; null: an operator, who can send nothing. */
  by: UserId | null
  /** Empty: all rooms that the user is in or banned from. */
  rooms: readonly RoomId[]
  reason: string | null
  /** How many of the newest events in each room. */
  limit: number
  /** Whether the administrator sends the redactions, not the user. */
  asAdmin: boolean
  /** Only events from before and after these times, in milliseconds since 1970. */
  beforeTs: number | null
  afterTs: number | null
}

/**
 * Begins a task that redacts the events of a user, and returns its id. Throws M_INVALID_PARAM for redactions that an
 * administrator has to send, if there is none.
 */
export async function redactUser(app: App, { userId, rooms, ...how }: UserRedaction): Promise<string> {
  if (how.by === null && (how.asAdmin || serverNameOf(userId) !== app.serverName))
    throw new InvalidParamError(
      'An administrator has to send these redactions, and commands have no user. Use a token.',
    )
  const theirs = rooms.length > 0 ? rooms : await roomsOf(app, userId)
  const payload = {
    ...{ user_id: userId, by: how.by, rooms: [...theirs], reason: how.reason, limit: how.limit },
    ...{ as_admin: how.asAdmin, before_ts: how.beforeTs, after_ts: how.afterTs },
  }
  return (await startTask(app, { action: REDACT_USER, resourceId: userId, payload })).taskId
}

async function roomsOf({ database }: App, userId: UserId): Promise<RoomId[]> {
  const memberships = await loadUserMemberships(database, userId, ['join', 'ban'])
  return memberships.map(({ room_id }) => room_id)
}

/** Returns how far a redaction is. Throws M_NOT_FOUND. */
export async function findUserRedaction(app: Pick<App, 'database'>, taskId: string) {
  const task = await findTask(app.database, taskId)
  if (task?.action !== REDACT_USER) throw new NotFoundError('There is no such redaction, or it ended long ago')
  const { failed_redactions = {} } = JSON.parse(task.result) as Partial<Progress>
  return {
    status: task.status,
    ...(task.status === 'complete' && { failed_redactions }),
    ...(task.error !== null && { error: task.error }),
  }
}

const payload = z.object({
  task_id: z.string(),
  user_id: z.string().refine(isUserId),
  by: z.string().refine(isUserId).nullable(),
  rooms: z.array(z.string().refine(isRoomId)),
  reason: z.string().nullable(),
  limit: z.int(),
  as_admin: z.boolean(),
  before_ts: z.int().nullable(),
  after_ts: z.int().nullable(),
})

/** Which events to redact. */
export type RedactionOfUser = Omit<z.output<typeof payload>, 'task_id'>
/** How far a redaction is. */
type Progress = { failed_redactions: Record<string, string>; redacted: number; rooms_left: number }

/**
 * Runs the job of a redaction of a user's events. Events that are redacted already are skipped, so that a job that runs
 * again goes on where it was.
 */
export async function runUserRedaction(app: App, job: Json): Promise<void> {
  const wanted = payload.parse(job)
  const progress: Progress = { failed_redactions: {}, redacted: 0, rooms_left: wanted.rooms.length }
  const save = (status: 'active' | 'complete') =>
    app.database.write((tx) =>
      updateTask(tx, { taskId: wanted.task_id, status, result: progress, now: app.clock.now() }),
    )
  await save('active')
  await redactInRooms(app, { wanted, progress, save: () => save('active') })
  await save('complete')
}

type Redacting = { wanted: RedactionOfUser; progress: Progress; save: () => Promise<unknown> }

/** Redacts the events, and notes that in `progress`. `save` is called after each page of events. */
export async function redactInRooms(app: App, redacting: Redacting): Promise<void> {
  for (const roomId of redacting.wanted.rooms) {
    await redactInRoom(app, roomId, redacting)
    redacting.progress.rooms_left -= 1
  }
}

async function redactInRoom(app: App, roomId: RoomId, { wanted, progress, save }: Redacting): Promise<void> {
  const { user_id: sender, after_ts: afterTs, before_ts: beforeTs } = wanted
  let before = Number.MAX_SAFE_INTEGER
  for (let left = wanted.limit; left > 0; ) {
    app.stopping.throwIfAborted()
    const limit = Math.min(left, PAGE)
    const page = await loadEventsOfSender(app.database, { roomId, sender, before, afterTs, beforeTs, limit })
    await Promise.all(page.filter(hasContent).map((event) => redactOne(app, event, { wanted, progress })))
    await save()
    if (page.length < limit) return
    left -= page.length
    before = page.at(-1)!.event_order!
  }
}

/** Of the user's memberships, only joins have a name or an avatar. */
function hasContent({ redacted_by, pdu }: StoredEvent): boolean {
  return redacted_by === null && (pdu.state_key === undefined || pdu.content.membership === 'join')
}

async function redactOne(
  app: App,
  event: StoredEvent,
  { wanted, progress }: Pick<Redacting, 'wanted' | 'progress'>,
): Promise<void> {
  const faults: string[] = []
  for (const sender of sendersOf(app, wanted)) {
    try {
      const content = wanted.reason === null ? {} : { reason: wanted.reason }
      const redaction = { roomId: event.room_id, redacts: event.event_id, content }
      await redactEvent(app, { ...redaction, sender, isAdmin: sender === wanted.by })
      progress.redacted += 1
      return
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      faults.push(error.message)
    }
  }
  if (Object.keys(progress.failed_redactions).length < MAX_FAILURES)
    progress.failed_redactions[event.event_id] = faults[0] ?? 'nobody can redact it'
}

/** A user who is banned, or has left, cannot send: then the administrator may be able to. */
function sendersOf({ serverName }: App, { user_id: user, by, as_admin: asAdmin }: RedactionOfUser): UserId[] {
  const isOthers = asAdmin || serverNameOf(user) !== serverName
  const senders = isOthers ? [by] : [user, ...(user === by ? [] : [by])]
  return senders.filter((sender) => sender !== null)
}
