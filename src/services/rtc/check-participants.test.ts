import { createHash } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { OutgoingAnswer, OutgoingHttp } from '../../infra/http/outgoing-http.ts'
import { findDelayedEvent } from '../../storage/rooms/delayed-events.ts'
import { firstDueLeave } from '../../storage/rtc/delegated-leaves.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, type ReadingRoom } from '../../testing/reading-room.ts'
import { manageDelayedEvent } from '../rooms/delayed/manage-delayed-event.ts'
import { scheduleEvent } from '../rooms/delayed/schedule-event.ts'
import { createParticipantChecks, type ParticipantChecks } from './check-participants.ts'
import { delegateLeave } from './delegate-leave.ts'
import { livekitRoomOf } from './livekit-tokens.ts'
import { receiveWebhook } from './receive-webhook.ts'

const GRACE = 30_000
const IDENTITY = 'alice'
const SLOT = 'm.call#ROOM'
const HOUR = 3_600_000

/** What LiveKit answers: its participants, or that it is down. */
let livekit: string[] | 'down'
/** Resolves before LiveKit answers; tests replace it to stop time in a check. */
let answering: () => Promise<unknown>
let stopping: AbortController
let app: TestApp
let room: ReadingRoom
let checks: ParticipantChecks

const configuredHttp = {
  async postJson(): Promise<OutgoingAnswer> {
    const answer = livekit
    await answering()
    if (answer === 'down' || stopping.signal.aborted) throw new Error('connect ECONNREFUSED')
    return { status: 200, body: { participants: answer.map((identity) => ({ identity, state: 'ACTIVE' })) } }
  },
} as unknown as OutgoingHttp

beforeEach(async () => {
  livekit = []
  answering = async () => {}
  stopping = new AbortController()
  const calls = { livekit: { url: 'wss://livekit.test', api_key: 'key', api_secret: 'secret' } }
  app = await createTestApp({ config: { calls }, configuredHttp, stopping: stopping.signal, users: [ALICE] })
  room = await createReadingRoom(app)
  checks = createParticipantChecks(app)
})
afterEach(() => app.close())

/** Schedules a leave event, and hands it over. */
async function handOver(delay = HOUR): Promise<string> {
  const event = { roomId: room.roomId, sender: ALICE, deviceId: null, type: 'org.example.call', stateKey: '' }
  const delayId = await scheduleEvent(app, { ...event, content: { left: true }, delay })
  const participant = { userId: ALICE, roomId: room.roomId, slotId: SLOT, identity: IDENTITY }
  await delegateLeave(app, participant, { delayId, delayTimeout: undefined })
  return delayId
}

/** Lets all rooms be checked that are due. */
async function check(of = checks): Promise<void> {
  await of.begin(() => {})
  await of.active.idle()
}

/** Checks as often as the time passes. */
async function pass(milliseconds: number): Promise<void> {
  for (const end = app.clock.now() + milliseconds; app.clock.now() < end; ) {
    app.clock.advance(1000)
    await check()
  }
}

function webhook(event: string, disconnectReason = 'CLIENT_INITIATED'): Promise<object> {
  const name = livekitRoomOf(room.roomId, SLOT)
  const body = JSON.stringify({ event, room: { name }, participant: { identity: IDENTITY, disconnectReason } })
  return receiveWebhook(app, { body, sha256: createHash('sha256').update(body).digest('base64') })
}

async function stateOf(delayId: string): Promise<'scheduled' | 'sent' | 'ended'> {
  const event = await findDelayedEvent(app.database, delayId)
  if (event?.finalised_ts === null) return 'scheduled'
  return event?.event_id ? 'sent' : 'ended'
}
const isForgotten = async () => (await firstDueLeave(app.database, [])) === null

test('a participant who stays for an hour stays, and the event is restarted in time', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver(10_000)
  await pass(60_000)
  const { since_ts } = (await findDelayedEvent(app.database, delayId))!
  expect(app.clock.now() - since_ts).toBeLessThan(8000)
  expect(await stateOf(delayId)).toBe('scheduled')
})

test('the event of a participant who is gone without a webhook is sent after the grace period, and forgotten', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await pass(10_000)
  livekit = []
  await pass(GRACE - 6000)
  expect(await stateOf(delayId)).toBe('scheduled')
  await pass(7000)
  expect(await stateOf(delayId)).toBe('sent')
  expect(await isForgotten()).toBe(true)
})

test.each([
  ['down', 'down' as const],
  ['empty', [] as string[]],
])('nobody leaves while LiveKit is %s for less than the grace period, even with a short delay', async (_, answer) => {
  livekit = [IDENTITY]
  const delayId = await handOver(8000)
  await pass(6000)
  for (let restarts = 0; restarts < 3; restarts++) {
    livekit = answer
    await pass(GRACE - 6000)
    livekit = [IDENTITY]
    await pass(6000)
  }
  expect(await stateOf(delayId)).toBe('scheduled')
})

test('nobody stays in a call whose LiveKit is down for longer', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await pass(6000)
  livekit = 'down'
  await pass(GRACE + 1000)
  expect(await stateOf(delayId)).toBe('sent')
})

test('the event of a participant who never connects is sent after a minute', async () => {
  const delayId = await handOver()
  await pass(59_000)
  expect(await stateOf(delayId)).toBe('scheduled')
  await pass(2000)
  expect(await stateOf(delayId)).toBe('sent')
})

test.each([
  ['participant_left', 'CLIENT_INITIATED'],
  ['participant_left', 'CONNECTION_TIMEOUT'],
  ['participant_left', undefined],
  ['participant_connection_aborted', 'SIGNAL_CLOSE'],
])('after %s with the reason %s, the event is sent at once', async (event, reason) => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  livekit = []
  await webhook(event, reason)
  await check()
  expect(await stateOf(delayId)).toBe('sent')
})

test.each([
  ['participant_left', 'SERVER_SHUTDOWN'],
  ['participant_left', 'DUPLICATE_IDENTITY'],
  ['participant_left', 'MIGRATION'],
  ['participant_connection_aborted', 'JOIN_FAILURE'],
  ['room_finished', 'ROOM_CLOSED'],
])('after %s with the reason %s, the participant has the grace period to return', async (event, reason) => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  livekit = []
  await webhook(event, reason)
  await pass(GRACE - 2000)
  expect(await stateOf(delayId)).toBe('scheduled')
  livekit = [IDENTITY]
  await pass(GRACE)
  expect(await stateOf(delayId)).toBe('scheduled')
})

test('a webhook about an earlier connection leaves the participant time to connect', async () => {
  const delayId = await handOver()
  await webhook('participant_left')
  await pass(GRACE - 2000)
  livekit = [IDENTITY]
  await pass(GRACE)
  expect(await stateOf(delayId)).toBe('scheduled')
})

test('a webhook that arrives during a check is not lost', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  app.clock.advance(6000)
  const { promise, resolve } = Promise.withResolvers<void>()
  answering = () => promise
  // LiveKit has listed the participant, and the answer is on its way.
  await checks.begin(() => {})
  await webhook('participant_left')
  livekit = []
  resolve()
  await checks.active.idle()
  expect(await stateOf(delayId)).toBe('scheduled')
  await check()
  expect(await stateOf(delayId)).toBe('sent')
})

test('several processes and webhooks at once send the event once', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  livekit = []
  const processes = [checks, createParticipantChecks(app), createParticipantChecks(app)]
  const acts = processes.flatMap((each) => [webhook('participant_left'), check(each), webhook('room_finished')])
  await Promise.all(acts)
  await Promise.all(processes.map((each) => check(each)))
  expect(await stateOf(delayId)).toBe('sent')
  const sent = await app.database.sql.selectFrom('events').select('event_id').where('delay_id', '=', delayId).execute()
  expect(sent).toHaveLength(1)
  expect(await isForgotten()).toBe(true)
})

test('another process checks a room whose lease has ended', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  // The process dies during the check.
  answering = () => new Promise(() => {})
  await checks.begin(() => {})
  answering = async () => {}
  const survivor = createParticipantChecks(app)
  await check(survivor)
  app.clock.advance(8000)
  await check(survivor)
  livekit = []
  await webhook('participant_left')
  await check(survivor)
  expect(await stateOf(delayId)).toBe('sent')
})

test('a process that stops during a check sends nothing, and releases the room', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  await webhook('participant_left')
  const { promise, resolve } = Promise.withResolvers<void>()
  answering = () => promise
  await checks.begin(() => {})
  stopping.abort()
  resolve()
  await checks.active.idle()
  expect(await stateOf(delayId)).toBe('scheduled')
  expect(await firstDueLeave(app.database, [])).toBe(app.clock.now())
})

test.each(['cancel', 'send'] as const)('an event that the client itself ended (%s) is forgotten', async (action) => {
  livekit = [IDENTITY]
  const delayId = await handOver(4000)
  await check()
  await manageDelayedEvent(app, delayId, action)
  await pass(6000)
  expect(await isForgotten()).toBe(true)
  expect(await stateOf(delayId)).toBe(action === 'send' ? 'sent' : 'ended')
})

test('an event that is refused is forgotten, and refused at its time', async () => {
  livekit = [IDENTITY]
  const delayId = await handOver()
  await check()
  await room.member(ALICE, 'leave')
  livekit = []
  await webhook('participant_left')
  await check()
  expect(await isForgotten()).toBe(true)
  expect(await stateOf(delayId)).toBe('scheduled')
})
