import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { CALL_MEMBER, type CallMember, handOver, isInCall, joinCall } from '../harness/leave-events.ts'
import {
  type LivekitRooms,
  sendWebhook,
  startLivekitRooms,
  webhookBody,
  webhookToken,
} from '../harness/livekit-rooms.ts'
import { createRoom, joinRoom, roomPath } from '../harness/rooms.ts'
import { type Hearths, startHearths } from '../harness/several-hearths.ts'

/** How often a process is killed; `CRASH_ROUNDS=50` for the long run. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 1)
const MEMBERS = 6
const PROCESSES = 3

let livekit: LivekitRooms
let hearths: Hearths
let users: TestUser[]
let roomId: string

beforeAll(async () => {
  livekit = await startLivekitRooms()
  const { apiKey: api_key, secret: api_secret, apiUrl: api_url } = livekit
  const options = { url: 'wss://livekit.example.org', api_key, api_secret, api_url, grace_period: '3s' }
  hearths = await startHearths(PROCESSES, { calls: { livekit: options } })
  users = await Promise.all(Array.from({ length: MEMBERS }, () => registerUser(hearths.url)))
  roomId = await createRoom(users[0]!)
  await joinRoom(roomId, ...users.slice(1))
})
afterAll(async () => {
  await hearths?.dispose()
  await livekit?.stop()
})

/** Returns how often the membership of each user has ended. */
async function departures(): Promise<number[]> {
  const { chunk } = await users[0]!.get(roomPath(roomId, 'messages?dir=b&limit=1000'))
  type MemberEvent = { type: string; sender: string; content: object }
  const ends = (chunk as MemberEvent[]).filter(
    ({ type, content }) => type === CALL_MEMBER && Object.keys(content).length === 0,
  )
  return users.map(({ userId }) => ends.filter(({ sender }) => sender === userId).length)
}

/** Waits until a process has asked LiveKit about all participants. */
async function seen(member: CallMember): Promise<void> {
  livekit.listed.length = 0
  await report('participant_joined', member, 0)
  await pollUntil('LiveKit was asked', () => livekit.listed.length > 0)
}

/** Reports a change as LiveKit does: again, at the next process, if nobody answers. */
async function report(event: string, { room, identity }: CallMember, place: number): Promise<void> {
  const body = webhookBody(event, { room, identity, reason: 'CONNECTION_TIMEOUT' })
  for (let attempt = 0; ; attempt++) {
    const { url } = hearths.hearths[(place + attempt) % PROCESSES]!
    const answer = await sendWebhook(url, body, webhookToken(livekit, body)).catch(() => undefined)
    if (answer?.status === 200) return
  }
}

test(
  `kill -9 of a process while participants leave, ${ROUNDS} times: they leave once, and the others stay`,
  async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const members = await Promise.all(users.map((user) => joinCall(user, roomId)))
      for (const { room, identity } of members) livekit.connect(room, identity)
      for (const answer of await Promise.all(members.map((member) => handOver(member)))) expect(answer.status).toBe(200)
      await seen(members[0]!)
      const [leaving, staying] = [members.slice(0, MEMBERS / 2), members.slice(MEMBERS / 2)]

      const victim = hearths.hearths[round % PROCESSES]!
      const reports = leaving.map((member, place) => {
        livekit.disconnect(member.room, member.identity)
        return report('participant_left', member, round + place)
      })
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
      await victim.kill('SIGKILL')
      await Promise.all(reports)
      await victim.restart()
      for (const member of leaving) await pollUntil('they left', async () => !(await isInCall(member)))
      for (const member of staying) expect(await isInCall(member)).toBe(true)

      // Without a webhook.
      await seen(staying[0]!)
      for (const { room, identity } of staying) livekit.disconnect(room, identity)
      for (const member of staying) await pollUntil('the others left too', async () => !(await isInCall(member)))
      expect(await departures()).toEqual(users.map(() => round + 1))
    }
  },
  ROUNDS * 60_000,
)
