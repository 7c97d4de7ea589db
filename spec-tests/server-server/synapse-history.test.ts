import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { createRoom, eventPath, historyOf, roomPath, sendState } from '../harness/rooms.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'
import {
  agreeOnState,
  joinVia,
  type SynapsePair,
  seesEvent,
  seesMember,
  startPair,
  WAYS,
} from '../harness/synapse-pair.ts'

/** The responses of Hearth and of Synapse to a third server in a room, event by event. */
const VERSIONS = ['1', '10', '12']
const FEDERATION = '/_matrix/federation/v1'

let pair: SynapsePair
let peer: SigningPeer
const users = new Map<string, TestUser>()
beforeAll(async () => {
  pair = await startPair()
  peer = await startSigningPeer(pair.federation, { isUnchecked: true })
  for (const side of ['Hearth', 'Synapse'] as const) users.set(side, await registerUser(pair[side].url))
})
afterAll(() => pair?.dispose())

describe.each(WAYS)('a room of %s that %s is in', (here, there) => {
  test.each(VERSIONS)('version %s: both tell another server the same of each event', async (version) => {
    const [owner, guest] = [users.get(here)!, users.get(there)!]
    const roomId = await createRoom(owner, { room_version: version })
    await joinVia(guest, roomId, owner)
    await seesMember(owner, roomId, { of: guest, membership: 'join' })
    const first = await sendText(owner, roomId, 'from here on both have all')
    await seesEvent(guest, roomId, first)
    await peer.join(pair[here], roomId)
    await Promise.all([owner, guest].map((user) => seesPeer(user, roomId)))
    await fork(roomId, owner, guest)
    const last = await sendText(owner, roomId, 'after the fork')
    await seesEvent(guest, roomId, last)
    await agreeOnState(roomId, owner, guest)

    const history = (await historyOf(owner, roomId)).map(({ event_id }) => event_id as string)
    const since = history.slice(history.indexOf(first))
    expect(since.length).toBeGreaterThan(6)
    const room = encodeURIComponent(roomId)
    for (const eventId of since) {
      const event = encodeURIComponent(eventId)
      await Promise.all([
        bothTell(`${FEDERATION}/event/${event}`, ({ pdus }) => lasting(pdus)),
        bothTell(`${FEDERATION}/event_auth/${room}/${event}`, ({ auth_chain }) => lasting(auth_chain)),
        bothTell(`${FEDERATION}/state_ids/${room}?event_id=${event}`, ({ pdu_ids, auth_chain_ids }) => [
          pdu_ids.sort(),
          auth_chain_ids.sort(),
        ]),
        bothTell(`${FEDERATION}/state/${room}?event_id=${event}`, ({ pdus, auth_chain }) => [
          lasting(pdus),
          lasting(auth_chain),
        ]),
      ])
    }
    const [from, to] = [first, last].map(encodeURIComponent)
    for (const [v, limit] of [
      [from, 1],
      [to, 1],
      [to, since.length],
    ]) {
      await bothTell(`${FEDERATION}/backfill/${room}?v=${v}&limit=${limit}`, ({ pdus }) => lasting(pdus))
    }
    const missing = { earliest_events: [first], latest_events: [last], limit: 20 }
    await bothTell(`${FEDERATION}/get_missing_events/${room}`, ({ events }) => lasting(events), missing)
  })
})

/** Both send concurrently, so that the room has forks, some of which need state resolution. */
async function fork(roomId: string, owner: TestUser, guest: TestUser): Promise<void> {
  const levels = await owner.get(roomPath(roomId, 'state/m.room.power_levels'))
  const content = { ...levels, users: { ...levels.users, [guest.userId]: 50 } }
  await seesEvent(guest, roomId, await sendState(owner, roomId, { type: 'm.room.power_levels', content }))
  for (const topic of ['one', 'two']) {
    const sent = await Promise.all(
      [owner, guest].map((user) => sendState(user, roomId, { type: 'm.room.topic', content: { topic } })),
    )
    for (const eventId of sent) await Promise.all([owner, guest].map((user) => seesEvent(user, roomId, eventId)))
  }
}

async function seesPeer(user: TestUser, roomId: string): Promise<void> {
  await pollUntil(`${user.userId} sees that the third server has joined`, async () => {
    const { membership } = await user.get(roomPath(roomId, eventPath('state/m.room.member', peer.userId)))
    return membership === 'join'
  })
}

// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
async function bothTell(path: string, read: (answer: any) => unknown, body?: object): Promise<void> {
  const ask = (side: 'Hearth' | 'Synapse') => peer.ask(pair[side], body ? 'POST' : 'GET', path, body)
  const [ours, theirs] = (await Promise.all([ask('Hearth'), ask('Synapse')])).map(read)
  expect(ours, path).toEqual(theirs)
}

type Told = { type: string; unsigned?: object; hashes: { sha256: string } }

/** Returns events without fields that each server adds, in a canonical order. */
function lasting(pdus: Told[]): object[] {
  const kept = pdus.map(({ unsigned: _, ...pdu }) => pdu)
  return kept.sort((a, b) => (a.hashes.sha256 < b.hashes.sha256 ? -1 : 1))
}
