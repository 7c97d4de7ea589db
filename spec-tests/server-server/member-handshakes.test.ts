import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventDraft } from '../../testing/matrix/events.ts'
import type { Pdu, UserId } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { type Homeserver, startHomeserver } from '../harness/homeserver-places.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import { createRoom, roomPath } from '../harness/rooms.ts'
import { prepareMember, visitRoom } from '../harness/visit-room.ts'

/**
 * Joins and leaves of remote users in rooms of Hearth.
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 */
let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation()
})
afterAll(() => federation.dispose())

describe.each(['pglite', 'postgresql'] as const)('on %s', (place) => {
  let hearth: Homeserver
  let peer: LyingServer
  let alice: TestUser
  beforeAll(async () => {
    ;[hearth, peer] = await Promise.all([startHomeserver(federation, place), startLyingServer(federation)])
    alice = await registerUser(hearth.url)
  }, 300_000)

  const path = (verb: string, roomId: string, eventId: string) =>
    `/_matrix/federation/${verb}/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`

  /** https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites */
  test('an invite that is declined is not sent back to the server of who declines', async () => {
    const userId = `@guest:${peer.serverName}` as UserId
    const roomId = await createRoom(alice, { preset: 'private_chat' })
    await alice.post(roomPath(roomId, 'invite'), { user_id: userId })
    const { event: leave } = await prepareMember(peer, hearth.home, { roomId, userId, membership: 'leave' })
    const answer = await peer.ask(hearth.home, 'PUT', path('v2/send_leave', roomId, leave.event_id), leave.pdu)
    expect(answer.status).toBe(200)
    const member = roomPath(roomId, `state/m.room.member/${encodeURIComponent(userId)}`)
    expect((await alice.get(member)).membership).toBe('leave')
    // Later events are queued after it: when these have arrived, it would have, too.
    const other = await createRoom(alice)
    await visitRoom(peer, hearth.home, { roomId: other })
    const body = 'afterwards'
    await sendText(alice, other, body)
    const sent = () =>
      peer.asked.filter(({ kind }) => kind === 'send').flatMap((asked) => (asked.body as { pdus: Pdu[] }).pdus)
    await pollUntil('the next message comes', () => sent().some(({ content }) => content.body === body))
    expect(sent().filter(({ room_id }) => room_id === roomId)).toEqual([])
  })

  /** https://spec.matrix.org/v1.19/rooms/v6/#canonical-json */
  describe('numbers that room versions since 6 forbid are M_BAD_JSON', () => {
    const NUMBERS = { 'a fraction': 1.5, '2^53': 2 ** 53, '-2^53': -(2 ** 53) }
    const cases = Object.keys(NUMBERS).flatMap((what) => ['6', '12'].map((version) => [what, version] as const))
    const refused = { status: 400, body: { errcode: 'M_BAD_JSON' } }

    test.each(cases)('%s in a room of version %s', async (what, version) => {
      const number = NUMBERS[what as keyof typeof NUMBERS]
      const [room, closed] = [
        await createRoom(alice, { room_version: version }),
        await createRoom(alice, {
          room_version: version,
          preset: 'private_chat',
          ...(ROOM_VERSIONS.get(version)!.knock && {
            initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
          }),
        }),
      ]
      await visitRoom(peer, hearth.home, { roomId: room })
      const submit = async (verb: string, membership: 'join' | 'leave' | 'knock', roomId: string) => {
        const { event } = await prepareMember(peer, hearth.home, { roomId, membership })
        const pdu = { ...event.pdu, content: { ...event.pdu.content, number } }
        return peer.ask(hearth.home, 'PUT', path(verb, roomId, event.event_id), pdu)
      }
      for (const verb of ['v1/send_join', 'v2/send_join'])
        expect(await submit(verb, 'join', room)).toMatchObject(refused)
      for (const verb of ['v1/send_leave', 'v2/send_leave'])
        expect(await submit(verb, 'leave', room)).toMatchObject(refused)
      if (ROOM_VERSIONS.get(version)!.knock)
        expect(await submit('v1/send_knock', 'knock', closed)).toMatchObject(refused)

      const away = peer.room({ version })
      const invite = away.make({ type: 'm.room.member', state_key: alice.userId, content: { membership: 'invite' } })
      const event = { ...invite.pdu, content: { ...invite.pdu.content, number } }
      const body = { room_version: version, event, invite_room_state: away.stateNow().map(({ pdu }) => pdu) }
      expect(await peer.ask(hearth.home, 'PUT', path('v2/invite', away.roomId, invite.event_id), body)).toMatchObject(
        refused,
      )

      const exchange = {
        type: 'm.room.member',
        room_id: room,
        sender: alice.userId,
        state_key: `@guest:${peer.serverName}`,
      }
      for (const signed of [{ mxid: exchange.state_key, token: 't', signatures: {}, number }, {}]) {
        const content = { membership: 'invite', third_party_invite: { display_name: '', signed }, number }
        const to = `/_matrix/federation/v1/exchange_third_party_invite/${encodeURIComponent(room)}`
        expect(await peer.ask(hearth.home, 'PUT', to, { ...exchange, content })).toMatchObject(refused)
      }
    })

    test('and allowed in older ones', async () => {
      const roomId = await createRoom(alice, { room_version: '5' })
      const change = { content: { membership: 'join', number: 1.5 } } as Partial<EventDraft>
      const { event } = await prepareMember(peer, hearth.home, { roomId, membership: 'join', change })
      const answer = await peer.ask(hearth.home, 'PUT', path('v2/send_join', roomId, event.event_id), event.pdu)
      expect(answer.status).toBe(200)
    })
  })
})
