import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from '../../app.ts'
import type { Event, JsonObject } from '../../core/events/pdu.ts'
import { type EventId, isServerName, type RoomId, type ServerName } from '../../core/ids.ts'
import { JsonCutter, type JsonPart, MalformedJsonError } from '../../core/json-cutter.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { createSpool } from '../../infra/spool.ts'
import { addReceived, type ReceivedEvents } from './received-events.ts'
import { verifyEvents } from './verify-events.ts'

/** What a resident server answers to `send_join`. */
export type JoinAnswer = ReceivedEvents & {
  /** The joiner's event as the resident server has it. */
  join: JsonObject | undefined
  membersOmitted: boolean
  servers: ServerName[]
}

/** Events that are verified at once; there is no need to have more of them in memory. */
const BATCH = 500
const MAX_EVENT_BYTES = 1024 * 1024
const MAX_SERVERS = 100_000
/** Several times what the largest rooms have. */
const MAX_PARTS = 1_000_000

/**
 * Reads the answer to `send_join` as it arrives, and verifies the events' formats, signatures and hashes meanwhile. Those that are not what they
 * should be are left out, as are those of other rooms. Throws FederationError when it is no such answer. The caller closes the spool.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function readJoinAnswer(
  app: Pick<App, 'keyRing' | 'logger'>,
  room: { version: RoomVersion; roomId: RoomId },
  body: AsyncIterable<Buffer>,
): Promise<JoinAnswer> {
  const answer: JoinAnswer = {
    events: new Map(),
    state: new Set(),
    join: undefined,
    membersOmitted: false,
    servers: [],
    spool: createSpool(),
  }
  try {
    await readParts(app, room, { answer, body })
    return answer
  } catch (error) {
    await answer.spool.close()
    if (!(error instanceof MalformedJsonError || error instanceof SyntaxError)) throw error
    throw new FederationError(`The answer to send_join is malformed: ${error.message}`, { cause: error })
  }
}

async function readParts(
  app: Pick<App, 'keyRing' | 'logger'>,
  room: { version: RoomVersion; roomId: RoomId },
  { answer, body }: { answer: JoinAnswer; body: AsyncIterable<Buffer> },
): Promise<void> {
  const lists = new Set(['state', 'auth_chain', 'servers_in_room'])
  const cutter = new JsonCutter({ lists, maxPartBytes: MAX_EVENT_BYTES, maxParts: MAX_PARTS })
  const intern = createInterner()
  let batch: JsonPart[] = []
  // While one batch is verified in the thread pool, the next one arrives.
  let underWay: Promise<void> = Promise.resolve()
  const verifyBatch = async () => {
    await underWay
    const parts = batch
    batch = []
    underWay = noteEvents(app, room, { answer, parts, intern })
    // Handled where it is awaited.
    underWay.catch(() => {})
  }
  for await (const chunk of body) {
    for (const part of cutter.push(chunk)) {
      if (part.key === 'state' || part.key === 'auth_chain') batch.push(part)
      else noteMember(answer, part)
      if (batch.length >= BATCH) await verifyBatch()
    }
    await nextTurn()
  }
  cutter.end()
  await verifyBatch()
  await underWay
}

function noteMember(answer: JoinAnswer, { key, text }: JsonPart): void {
  const value: unknown = JSON.parse(text)
  if (key === 'event' && typeof value === 'object' && value !== null) answer.join = value as JsonObject
  if (key === 'members_omitted') answer.membersOmitted = value === true
  if (key === 'servers_in_room' && typeof value === 'string' && isServerName(value)) {
    if (answer.servers.length < MAX_SERVERS) answer.servers.push(value)
  }
}

async function noteEvents(
  app: Pick<App, 'keyRing' | 'logger'>,
  { version, roomId }: { version: RoomVersion; roomId: RoomId },
  { answer, parts, intern }: { answer: JoinAnswer; parts: readonly JsonPart[]; intern: (id: EventId) => EventId },
): Promise<void> {
  const verified = await verifyEvents(
    app,
    version,
    parts.map(({ text }) => JSON.parse(text)),
  )
  const events: Event[] = []
  const leftOut: string[] = []
  for (const [place, result] of verified.entries()) {
    if (!result.ok || result.event.room_id !== roomId) {
      leftOut.push(result.ok ? 'It is of another room' : result.reason)
      continue
    }
    const { event } = result
    if (parts[place]!.key === 'state' && event.pdu.state_key !== undefined) answer.state.add(intern(event.event_id))
    events.push(event)
  }
  if (leftOut.length > 0)
    app.logger.warn(
      { room_id: roomId, events: leftOut.length, reason: leftOut[0] },
      'events of a room to join are left out',
    )
  await addReceived(answer, { version, roomId }, { events, intern })
}

/** Keeps one string for each id, however often it is mentioned. */
function createInterner(): (id: EventId) => EventId {
  const known = new Map<EventId, EventId>()
  return (id) => {
    const first = known.get(id)
    if (first === undefined) known.set(id, id)
    return first ?? id
  }
}
