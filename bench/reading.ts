import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { UNSTABLE_SLIDING_SYNC } from '../spec-tests/harness/sliding-client.ts'
import { inParallel, percentile, type Target } from './measure.ts'
import { createRoom, type Figure, roomPath } from './scenarios.ts'

const STATE_EVENTS = 500
/** The first window of a client that shows a list of rooms. */
const FIRST_WINDOW = {
  lists: {
    rooms: {
      ranges: [[0, 19]],
      timeline_limit: 1,
      required_state: [
        ['m.room.create', ''],
        ['m.room.name', ''],
        ['m.room.avatar', ''],
        ['m.room.encryption', ''],
        ['m.room.member', '$LAZY'],
      ],
    },
  },
}

/**
 * Measures what a user in many rooms reads: initial and incremental sync, the first window of sliding sync, a page of
 * history, and state and members of a room with 500 members.
 */
export async function reading(target: Target, rooms: number, repeats: number): Promise<Figure[]> {
  const user = await registerUser(target.url)
  const roomIds: string[] = []
  for (let i = 0; i < rooms; i++) roomIds.push(await createRoom(user))
  await inParallel(rooms * 10, 16, (number) => sendText(user, roomIds[number % rooms]!, `message ${number}`))
  await inParallel(120, 16, (number) => sendText(user, roomIds[0]!, `history ${number}`))
  const { next_batch: since } = await user.get('/_matrix/client/v3/sync?timeout=0')
  await sendText(user, roomIds[0]!, 'one more')
  const crowded = await createCrowd(user, STATE_EVENTS)
  const p50 = async (name: string, pathOf: (number: number) => string, body?: object): Promise<Figure> => {
    const times: number[] = []
    for (let i = 0; i < repeats; i++) times.push(await timeOf(user, pathOf(i), body))
    return { name: `${name}, p50`, value: percentile(times, 0.5), unit: 'ms' }
  }
  return [
    await p50(`initial sync of ${rooms} rooms`, (number) => uncachedSync(number)),
    await p50('incremental sync with one event', (number) => `${uncachedSync(number)}&since=${since}`),
    await p50('first sliding window of 20 rooms', () => UNSTABLE_SLIDING_SYNC, FIRST_WINDOW),
    await p50('100 events of history', () => `${roomPath(roomIds[0]!)}/messages?dir=b&limit=100`),
    await p50(`${STATE_EVENTS} state events`, () => `${roomPath(crowded)}/state`),
    await p50(`${STATE_EVENTS} members`, () => `${roomPath(crowded)}/members`),
  ]
}

/** A sync that differs from others only by its filter: Synapse repeats its response to the same request for two minutes. */
function uncachedSync(number: number): string {
  const filter = { presence: { not_senders: [`@nobody${number}:hearth.test`] } }
  return `/_matrix/client/v3/sync?timeout=0&filter=${encodeURIComponent(JSON.stringify(filter))}`
}

async function createCrowd(owner: TestUser, members: number): Promise<string> {
  const roomId = await createRoom(owner)
  await inParallel(members - 1, 8, async () => {
    const user = await registerUser(owner.url)
    await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
  })
  return roomId
}

/** Returns the milliseconds of a request, without a check of the response, which would take longer than some responses. */
async function timeOf(user: TestUser, path: string, body?: object): Promise<number> {
  const started = performance.now()
  const answer = await fetch(user.url + path, {
    headers: { authorization: `Bearer ${user.accessToken}`, 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`${path} responded with ${answer.status}`)
  return performance.now() - started
}
