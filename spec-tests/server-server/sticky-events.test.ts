import { afterAll, beforeAll, expect, test } from 'vitest'
import { toEvent } from '../../testing/matrix/events.ts'
import type { Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { createRoom, roomPath, syncedRoom, v3 } from '../harness/rooms.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4354 */
const TYPE = 'org.matrix.msc4143.rtc.member'
const VERSION = '12'
const HIDDEN = { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }

const LAST_EVENT = `filter=${encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 1 } } }))}`

let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let away: TestHearth
let peer: SigningPeer
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  federation = await startFederation(0)
  ;[home, away] = await Promise.all([federation.hearth(), federation.hearth()])
  ;[alice, bob] = await Promise.all([registerUser(home.url), registerUser(away.url)])
  peer = await startSigningPeer(federation)
})
afterAll(() => federation.dispose())

const publicRoom = () => createRoom(alice, { preset: 'public_chat', room_version: VERSION, initial_state: [HIDDEN] })

async function stick(user: TestUser, roomId: string, key: string): Promise<string> {
  const query = 'org.matrix.msc4354.sticky_duration_ms=600000'
  const path = roomPath(roomId, `send/${TYPE}/${uniqueName()}?${query}`)
  return (await user.put(path, { msc4354_sticky_key: key })).event_id
}

/** Returns the keys of the sticky events in a user's first sync, whose timeline has only the last event. */
async function stickyOf(user: TestUser, roomId: string): Promise<string[]> {
  const { timeline, msc4354_sticky: sticky } = await syncedRoom(user, roomId, LAST_EVENT)
  const last = timeline.events.filter(({ type }: Pdu) => type === TYPE)
  return [...(sticky?.events ?? []), ...last].map(({ content }: Pdu) => content.msc4354_sticky_key as string)
}

/** Polls until these keys, in alphabetical order, are sticky for a user. */
async function untilSticky(user: TestUser, roomId: string, keys: string): Promise<void> {
  await pollUntil(`${keys} come`, async () => (await stickyOf(user, roomId)).sort().join() === keys)
}

/** Signs an event of the peer and sends it. `change`: to the template of `peer.join`. */
async function sendAsPeer({ signatures: _, hashes: __, ...template }: Pdu, change: object): Promise<Pdu> {
  const signed = peer.sign({ ...template, origin_server_ts: Date.now(), ...change }, VERSION) as Pdu
  const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus: [signed] }
  await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, body)
  return signed
}
const stickyFields = (key: string, duration: unknown = 600_000) => ({
  type: TYPE,
  content: { msc4354_sticky_key: key },
  msc4354_sticky: { duration_ms: duration },
})
const idOf = (pdu: Pdu) => toEvent(ROOM_VERSIONS.get(VERSION)!, pdu).event_id

test('a server that joins gets the current sticky events of the users of other servers, and then new ones', async () => {
  const roomId = await publicRoom()
  await stick(alice, roomId, 'before')
  await sendText(alice, roomId, 'secret')
  await bob.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  await untilSticky(bob, roomId, 'before')
  await stick(alice, roomId, 'live')
  await untilSticky(bob, roomId, 'before,live')
  await stick(bob, roomId, 'away')
  await untilSticky(alice, roomId, 'away,before,live')
})

test('each server sends a server that joins those of its own users that are not redacted', async () => {
  const roomId = await publicRoom()
  await bob.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  const own = await stick(alice, roomId, 'own')
  const redacted = await stick(alice, roomId, 'redacted')
  await alice.put(roomPath(roomId, `redact/${encodeURIComponent(redacted)}/${uniqueName()}`))
  await stick(bob, roomId, 'of the other server')
  await untilSticky(alice, roomId, 'of the other server,own')
  await peer.join(home, roomId)
  const received = () => peer.received.flatMap(({ pdus }) => pdus).filter((pdu) => pdu.room_id === roomId)
  await pollUntil('it has come', () => received().some((pdu) => idOf(pdu) === own))
  const last = await stick(alice, roomId, 'last')
  const keys = () => received().flatMap(({ content }) => content.msc4354_sticky_key ?? content.body ?? [])
  await pollUntil('the rest has come', () => received().some((pdu) => idOf(pdu) === last) && keys().length >= 3)
  expect(keys().sort()).toEqual(['last', 'of the other server', 'own'])
  for (const pdu of received())
    if (pdu.type === TYPE) expect(pdu).toMatchObject({ msc4354_sticky: { duration_ms: 600_000 } })
})

test('events of other servers are sticky for an hour at most, from now at the latest, if the duration is valid', async () => {
  const roomId = await publicRoom()
  const template = await peer.join(home, roomId)
  const valid = {
    long: stickyFields('long', 10_000_000),
    future: { ...stickyFields('future'), origin_server_ts: Date.now() + 120_000 },
  }
  const invalid = {
    text: stickyFields('text', '600000'),
    negative: stickyFields('negative', -1),
    none: { ...stickyFields('none'), msc4354_sticky: [] },
    past: { ...stickyFields('past'), origin_server_ts: Date.now() - 700_000 },
  }
  for (const fields of [...Object.values(invalid), ...Object.values(valid)]) await sendAsPeer(template, fields)
  await untilSticky(alice, roomId, 'future,long')
  await sendText(alice, roomId, 'newer')
  const { events } = (await syncedRoom(alice, roomId, LAST_EVENT)).msc4354_sticky
  expect(events.map(({ content }: Pdu) => content.msc4354_sticky_key)).toEqual(['long', 'future'])
  const left = events.map(({ unsigned }: Pdu) => unsigned!.msc4354_sticky_duration_ttl_ms)
  expect(left[0]).toBeGreaterThan(3_000_000)
  expect(left[0]).toBeLessThanOrEqual(3_600_000)
  expect(left[1]).toBeGreaterThan(300_000)
  expect(left[1]).toBeLessThanOrEqual(600_000)
})

test('a soft-failed sticky event appears once the current state allows it', async () => {
  const roomId = await publicRoom()
  const template = await peer.join(home, roomId)
  await alice.post(roomPath(roomId, 'kick'), { user_id: peer.userId })
  const { next_batch: since } = await alice.get(`${v3}/sync`)
  const sticky = await sendAsPeer(template, stickyFields('refused'))
  const plain = await sendAsPeer(template, { content: { msgtype: 'm.text', body: 'never' } })
  const { pdus: results } = await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, {
    origin: peer.serverName,
    origin_server_ts: Date.now(),
    pdus: [sticky, plain],
  })
  expect(Object.keys(results).sort()).toEqual([idOf(sticky), idOf(plain)].sort())
  await sendText(alice, roomId, 'newer')
  expect(await stickyOf(alice, roomId)).toEqual([])
  await peer.join(home, roomId)
  await untilSticky(alice, roomId, 'refused')
  const { rooms } = await alice.get(`${v3}/sync?since=${since}`)
  const events = rooms.join[roomId].timeline.events
  expect(events.filter(({ type }: Pdu) => type === TYPE)).toHaveLength(1)
  expect(events.map(({ content }: Pdu) => content.body)).not.toContain('never')
})
