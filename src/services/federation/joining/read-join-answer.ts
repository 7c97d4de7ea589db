import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from '../../../app.ts'
import { isServerName, type RoomId, type ServerName } from '../../../core/ids.ts'
import { JsonCutter, type JsonPart, MalformedJsonError } from '../../../core/json/json-cutter.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import {
  createEventCollector,
  emptyReceived,
  type ListedPdu,
  type ReceivedEvents,
} from '../requests/received-events.ts'

/** The response of a resident server to `send_join`. */
export type JoinAnswer = ReceivedEvents & {
  /** The joining user's event as signed by the resident server. */
  join: JsonObject | undefined
  membersOmitted: boolean
  /** The servers in the room, according to the resident server. Whether they have members there is not verified. */
  servers: Set<ServerName>
}

type AskedRoom = { version: RoomVersion; roomId: RoomId; server: ServerName }

/** Events verified together: few, so that they are garbage-collected early. */
const BATCH = 100
const MAX_EVENT_BYTES = 1024 * 1024
/** Several times the size of the largest rooms. */
const MAX_PARTS = 1_000_000

/**
 * Reads a `send_join` response as a stream, and verifies the events' formats, signatures and hashes. Invalid events and
 * those of other rooms are left out. Throws FederationError for a malformed response. The caller closes the spool.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function readJoinAnswer(
  app: Pick<App, 'keyRing' | 'logger' | 'config'>,
  room: AskedRoom,
  body: AsyncIterable<Buffer>,
): Promise<JoinAnswer> {
  const answer: JoinAnswer = { ...emptyReceived(), join: undefined, membersOmitted: false, servers: new Set() }
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
  app: Pick<App, 'keyRing' | 'logger' | 'config'>,
  room: AskedRoom,
  { answer, body }: { answer: JoinAnswer; body: AsyncIterable<Buffer> },
): Promise<void> {
  const lists = new Set(['state', 'auth_chain', 'servers_in_room'])
  const cutter = new JsonCutter({ lists, maxPartBytes: MAX_EVENT_BYTES, maxParts: MAX_PARTS })
  const collector = createEventCollector(app, room, answer)
  let batch: ListedPdu[] = []
  const verifyBatch = async () => {
    const listed = batch
    batch = []
    if (listed.length > 0) await collector.add(listed)
  }
  try {
    for await (const chunk of body) {
      for (const part of cutter.push(chunk)) {
        const isState = part.key === 'state'
        if (isState || part.key === 'auth_chain') batch.push({ pdu: JSON.parse(part.text), isState })
        else noteMember(app, answer, part)
        if (batch.length >= BATCH) await verifyBatch()
      }
      await nextTurn()
    }
    cutter.end()
    await verifyBatch()
  } finally {
    await collector.end()
  }
}

function noteMember({ config }: Pick<App, 'config'>, answer: JoinAnswer, { key, text }: JsonPart): void {
  const value: unknown = JSON.parse(text)
  if (key === 'event' && typeof value === 'object' && value !== null) answer.join = value as JsonObject
  if (key === 'members_omitted') answer.membersOmitted = value === true
  if (key === 'servers_in_room' && typeof value === 'string' && isServerName(value)) {
    if (answer.servers.size < config.limits.counts.servers_of_partial_room) answer.servers.add(value)
  }
}
