import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { type Homeserver, startHomeserver } from '../harness/homeserver-places.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { hasEvent, v3 } from '../harness/rooms.ts'

/** Upgrades of rooms on a remote server: https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-19 */
let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation()
})
afterAll(() => federation.dispose())

describe.each(['pglite', 'postgresql'] as const)('on %s', (place) => {
  let hearth: Homeserver
  let peer: LyingServer
  let alice: TestUser
  let from: PeerRoom
  let alias: string
  beforeAll(async () => {
    ;[hearth, peer] = await Promise.all([startHomeserver(federation, place), startLyingServer(federation)])
    alice = await registerUser(hearth.url)
  }, 300_000)

  const name = encodeURIComponent
  const join = (room: PeerRoom) => alice.post(`${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`)
  const tagsPath = (room: PeerRoom) => `${v3}/user/${name(alice.userId)}/rooms/${name(room.roomId)}/tags`
  const replacementOf = (room: PeerRoom, predecessor = room.roomId) =>
    peer.room({ creation: { predecessor: { room_id: predecessor } } })

  /** Creates a room of the peer that Alice has tagged and published, with an alias of her server. */
  async function listedRoom(): Promise<void> {
    from = peer.room({ version: '11' })
    const power = { users: { [from.creator]: 100, [alice.userId]: 100 } }
    from.add({ type: 'm.room.power_levels', state_key: '', content: power })
    await join(from)
    alias = `#${uniqueName('alias')}:${hearth.home.serverName}`
    await alice.put(`${v3}/directory/room/${name(alias)}`, { room_id: from.roomId })
    await alice.put(`${v3}/directory/list/room/${name(from.roomId)}`, { visibility: 'public' })
    await alice.put(`${tagsPath(from)}/m.favourite`, { order: 0.5 })
  }

  async function bury(room: PeerRoom, replacement: string): Promise<void> {
    const content = { body: 'moved', replacement_room: replacement }
    const tombstone = room.add({ type: 'm.room.tombstone', state_key: '', content })
    await peer.send(hearth.home, [tombstone])
    await pollUntil('the tombstone is there', () => hasEvent(alice, tombstone))
  }

  const leadsTo = async () => (await alice.get(`${v3}/directory/room/${name(alias)}`)).room_id
  const isListed = async (room: PeerRoom) =>
    (await alice.get(`${v3}/directory/list/room/${name(room.roomId)}`)).visibility === 'public'

  async function expectMoved(to: PeerRoom): Promise<void> {
    expect(await leadsTo()).toBe(to.roomId)
    expect([await isListed(from), await isListed(to)]).toEqual([false, true])
    expect((await alice.get(tagsPath(to))).tags).toEqual({ 'm.favourite': { order: 0.5 } })
  }

  async function expectNotMoved(to: PeerRoom): Promise<void> {
    expect(await leadsTo()).toBe(from.roomId)
    expect([await isListed(from), await isListed(to)]).toEqual([true, false])
    expect((await alice.get(tagsPath(to))).tags).toEqual({})
  }

  test('aliases, the place in the directory and tags follow when the first user joins the new room', async () => {
    await listedRoom()
    const to = replacementOf(from)
    await bury(from, to.roomId)
    expect(await leadsTo()).toBe(from.roomId)
    await join(to)
    await expectMoved(to)
  })

  test('they follow when the tombstone comes and a user is in the new room already', async () => {
    await listedRoom()
    const to = replacementOf(from)
    await join(to)
    await expectNotMoved(to)
    await bury(from, to.roomId)
    await expectMoved(to)
  })

  test('a room that is listed by itself stays so when one that is not listed is replaced by it', async () => {
    await listedRoom()
    const to = replacementOf(from)
    to.add({ type: 'm.room.power_levels', state_key: '', content: { users: { [alice.userId]: 100 } } })
    await join(to)
    await alice.put(`${v3}/directory/list/room/${name(from.roomId)}`, { visibility: 'private' })
    await alice.put(`${v3}/directory/list/room/${name(to.roomId)}`, { visibility: 'public' })
    await bury(from, to.roomId)
    expect(await isListed(to)).toBe(true)
  })

  test('nothing follows where only one of the rooms says so', async () => {
    await listedRoom()
    const [claiming, other] = [replacementOf(from), peer.room()]
    await join(claiming)
    await expectNotMoved(claiming)
    await join(other)
    await bury(from, other.roomId)
    await expectNotMoved(other)
    await expectNotMoved(claiming)
  })
})
