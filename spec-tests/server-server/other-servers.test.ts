import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toEvent } from '../../testing/matrix/events.ts'
import type { Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import { createRoom, joinRoom, sendState } from '../harness/rooms.ts'
import { visitRoom } from '../harness/visit-room.ts'

/** Requirements and behaviour of servers other than Synapse. docs/federation.md lists it. */
let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let peer: LyingServer
let alice: TestUser

beforeAll(async () => {
  federation = await startFederation()
  ;[home, peer] = await Promise.all([federation.hearth(), startLyingServer(federation)])
  alice = await registerUser(home.url)
})
afterAll(() => federation.dispose())

const name = encodeURIComponent

describe.each(['1', '5', '10', '11', '12'])('the auth events in a room of version %s', (version) => {
  let roomId: string
  let join: string
  let answer: Awaited<ReturnType<typeof visitRoom>>['answer']
  beforeAll(async () => {
    const bob = await registerUser(home.url)
    roomId = await createRoom(alice, { room_version: version, name: 'Square' })
    await joinRoom(roomId, bob)
    // It has a longer chain than the others, of former state events.
    for (const topic of [0, 1, 2])
      await sendState(alice, roomId, { type: 'm.room.power_levels', content: levels(topic) })
    const visit = await visitRoom(peer, home, { roomId })
    ;[answer, join] = [visit.answer, visit.join.event_id]
  })
  const levels = (topic: number) => ({
    users: version === '12' ? {} : { [alice.userId]: 100 },
    events: { 'm.room.topic': topic },
  })
  const ask = async (path: string) => {
    const { status, body } = await peer.ask(home, 'GET', `/_matrix/federation/v1/${path}`)
    expect(status).toBe(200)
    return body
  }
  /**
   * Asserts that each event follows its auth events, for a server that processes them in order and knows the create
   * event.
   */
  function expectOldestFirst(chain: readonly Pdu[]): void {
    const events = chain.map((pdu) => toEvent(ROOM_VERSIONS.get(version)!, pdu))
    expect(events[0]?.pdu.type).toBe('m.room.create')
    const seen = new Set<string>()
    for (const event of events) {
      expect(event.auth_event_ids.filter((id) => !seen.has(id))).toEqual([])
      seen.add(event.event_id)
    }
    expect(seen.size).toBe(events.length)
  }

  test('comes with the answer to a join, oldest first', () => {
    expectOldestFirst(answer.auth_chain)
    expect(answer.auth_chain.length).toBeGreaterThan(5)
  })

  test('comes with the state, oldest first', async () => {
    const { pdus, auth_chain } = await ask(`state/${name(roomId)}?event_id=${name(join)}`)
    expectOldestFirst(auth_chain)
    const ids = await ask(`state_ids/${name(roomId)}?event_id=${name(join)}`)
    const idsOf = (events: Pdu[]) => events.map((pdu) => toEvent(ROOM_VERSIONS.get(version)!, pdu).event_id)
    expect(ids.auth_chain_ids).toEqual(idsOf(auth_chain))
    expect(ids.pdu_ids.toSorted()).toEqual(idsOf(pdus).toSorted())
  })

  test('comes for a single event, oldest first', async () => {
    const { auth_chain } = await ask(`event_auth/${name(roomId)}/${name(join)}`)
    expectOldestFirst(auth_chain)
  })

  test('does not come twice with a join for which less is wanted', async () => {
    const userId = `@other:${peer.serverName}` as typeof alice.userId
    const less = await visitRoom(peer, home, { roomId, userId: userId as never, query: '?omit_members=true' })
    const ids = [...less.answer.state, ...less.answer.auth_chain].map(
      (pdu) => toEvent(ROOM_VERSIONS.get(version)!, pdu).event_id,
    )
    expect(new Set(ids).size).toBe(ids.length)
    expect(less.answer.state.filter(({ type }) => type === 'm.room.create')).toHaveLength(1)
  })
})
