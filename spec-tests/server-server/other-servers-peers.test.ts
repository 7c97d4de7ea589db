import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { type Homeserver, startHomeserver } from '../harness/homeserver-places.ts'
import { inviteFromPeer } from '../harness/invite-from-peer.ts'
import { answerWith, type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { createRoom, roomPath, sendState, v1, v3 } from '../harness/rooms.ts'

/** Responses and requests of servers other than Synapse, and what they do not support. docs/federation.md lists it. */
let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation()
})
afterAll(() => federation.dispose())

const name = encodeURIComponent

describe.each(['pglite', 'postgresql'] as const)('on %s', (place) => {
  let hearth: Homeserver
  let peer: LyingServer
  let alice: TestUser
  beforeAll(async () => {
    ;[hearth, peer] = await Promise.all([startHomeserver(federation, place), startLyingServer(federation)])
    alice = await registerUser(hearth.url)
  }, 300_000)

  const join = (room: PeerRoom, user = alice) =>
    user.ask('POST', `${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`, {})
  const stripped = (room: PeerRoom) =>
    room.stateNow().map(({ pdu: { type, state_key, sender, content } }) => ({ type, state_key, sender, content }))

  /** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory */
  test.each([
    ['null', null],
    ['no', undefined],
  ])('an alias with %s servers leads to the server that was asked', async (_, servers) => {
    const room = peer.room()
    peer.lie('directory', () => ({ room_id: room.roomId, servers }))
    const alias = `#square:${peer.serverName}`
    expect(await alice.get(`${v3}/directory/room/${name(alias)}`)).toEqual({
      room_id: room.roomId,
      servers: [peer.serverName],
    })
    expect(await alice.ask('POST', `${v3}/join/${name(alias)}`, {})).toMatchObject({
      status: 200,
      body: { room_id: room.roomId },
    })
    peer.lie('directory', undefined)
  })

  describe('stripped state alone, in a room of version 12', () => {
    test('comes with an invite: the user sees it, and joins', async () => {
      const room = peer.room()
      room.add({ type: 'm.room.name', state_key: '', content: { name: 'Square' } })
      const roomState = stripped(room)
      expect(await inviteFromPeer(peer, hearth.home, { room, userId: alice.userId, roomState })).toMatchObject({
        status: 200,
      })
      const { events } = (await alice.get(`${v3}/sync`)).rooms.invite[room.roomId].invite_state
      expect(events).toContainEqual(expect.objectContaining({ type: 'm.room.name', content: { name: 'Square' } }))
      expect(await join(room)).toMatchObject({ status: 200 })
    })

    test('comes with an invite without m.room.create', async () => {
      const room = peer.room()
      const roomState = stripped(room).filter(({ type }) => type !== 'm.room.create')
      expect(await inviteFromPeer(peer, hearth.home, { room, userId: alice.userId, roomState })).toMatchObject({
        status: 200,
      })
      expect((await alice.get(`${v3}/sync`)).rooms.invite[room.roomId]).toBeDefined()
    })

    test('comes with an answer to a knock', async () => {
      const room = peer.room()
      room.add({ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } })
      peer.lie('send_knock', (asked) => {
        peer.honestly(asked)
        return { knock_room_state: stripped(room) }
      })
      await alice.post(`${v3}/knock/${name(room.roomId)}?via=${name(peer.serverName)}`, {})
      peer.lie('send_knock', undefined)
      const { events } = (await alice.get(`${v3}/sync`)).rooms.knock[room.roomId].knock_state
      expect(events.map(({ type }: { type: string }) => type)).toContain('m.room.create')
    })

    test('does not let a whole event pass that is not valid', async () => {
      const room = peer.room()
      const other = peer.room()
      const create = (from: PeerRoom) => from.stateNow().find(({ pdu }) => pdu.type === 'm.room.create')!.pdu
      const forged = { ...create(room), content: { ...create(room).content, 'm.federate': true } }
      for (const wrong of [create(other), { ...forged, signatures: {} }]) {
        const roomState = [...stripped(room), wrong]
        expect(await inviteFromPeer(peer, hearth.home, { room, userId: alice.userId, roomState })).toMatchObject({
          status: 400,
          errcode: 'M_INVALID_PARAM',
        })
      }
    })
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#mdevice_list_update */
  describe.each([
    ['an empty prev_id', { prev_id: [] }],
    ['no prev_id', {}],
  ])('a change of devices with %s and a stream_id that is known', (_, more) => {
    test('has the list fetched again', async () => {
      // A server whose device lists are not cached yet.
      const peer = await startLyingServer(federation)
      const room = peer.room()
      await alice.post(`${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`, {})
      const devices = (ids: string[]) =>
        ids.map((device_id) => ({ device_id, keys: deviceKeys(room.creator, device_id) }))
      const answer = (ids: string[]) => () => ({ user_id: room.creator, stream_id: 5, devices: devices(ids) })
      const query = async () => {
        const { device_keys } = await alice.post(`${v3}/keys/query`, { device_keys: { [room.creator]: [] } })
        return Object.keys(device_keys[room.creator] ?? {}).sort()
      }
      peer.lie('devices', answer(['OLD']))
      await pollUntil('the list is known', async () => (await query()).includes('OLD'))
      peer.lie('devices', answer(['NEW', 'OLD']))
      const { next_batch: since } = await alice.get(`${v3}/sync?timeout=0`)
      const content = {
        user_id: room.creator,
        device_id: 'NEW',
        stream_id: 5,
        ...more,
        keys: deviceKeys(room.creator, 'NEW'),
      }
      await peer.sendEdus(hearth.home, { edu_type: 'm.device_list_update', content })
      await pollUntil('the new device is known', async () => (await query()).includes('NEW'))
      expect(await query()).toEqual(['NEW', 'OLD'])
      const { device_lists } = await alice.get(`${v3}/sync?timeout=0&since=${since}`)
      expect(device_lists.changed).toContain(room.creator)
    })
  })

  describe('a server that lacks what others have', () => {
    const unrecognized = { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' }
    const refuse = (kind: Parameters<LyingServer['lie']>[0]) =>
      peer.lie(kind, (_, response) => answerWith(response, 404, unrecognized))

    test('no keys to claim, not even fallback keys: nothing has failed', async () => {
      const userId = `@k:${peer.serverName}`
      for (const answer of [{ one_time_keys: {} }, { one_time_keys: { [userId]: {} } }]) {
        peer.lie('claim_keys', () => answer)
        const one_time_keys = { [userId]: { DEVICE: 'signed_curve25519' } }
        const { failures, one_time_keys: claimed } = await alice.post(`${v3}/keys/claim`, { one_time_keys })
        expect(failures).toEqual({})
        expect(claimed[userId] ?? {}).toEqual({})
      }
      peer.lie('claim_keys', undefined)
    })

    test('no cross-signing keys: devices are found', async () => {
      const userId = `@k:${peer.serverName}`
      peer.lie('query_keys', () => ({
        device_keys: { [userId]: { DEVICE: deviceKeys(userId, 'DEVICE') } },
        master_keys: null,
        self_signing_keys: null,
      }))
      const { failures, device_keys } = await alice.post(`${v3}/keys/query`, { device_keys: { [userId]: [] } })
      expect(failures).toEqual({})
      expect(Object.keys(device_keys[userId])).toEqual(['DEVICE'])
      peer.lie('query_keys', undefined)
    })

    test('no list of devices: the keys are asked for', async () => {
      const peer = await startLyingServer(federation)
      const room = peer.room()
      await alice.post(`${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`, {})
      peer.lie('devices', (_, response) => answerWith(response, 404, unrecognized))
      const { failures, device_keys } = await alice.post(`${v3}/keys/query`, { device_keys: { [room.creator]: [] } })
      expect(failures).toEqual({})
      expect(Object.keys(device_keys[room.creator])).toEqual(['DEVICE'])
    })

    test('no summaries: the room is not found, a space shows its other rooms, and the room can be joined', async () => {
      const room = peer.room()
      refuse('hierarchy')
      const summary = `${v1}/room_summary/${name(room.roomId)}?via=${name(peer.serverName)}`
      expect(await alice.ask('GET', summary)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
      const [space, own] = [await createRoom(alice, { creation_content: { type: 'm.space' } }), await createRoom(alice)]
      for (const [key, via] of [
        [room.roomId, peer.serverName],
        [own, hearth.home.serverName],
      ] as const)
        await sendState(alice, space, { type: 'm.space.child', key, content: { via: [via] } })
      const { rooms } = await alice.get(roomPath(space, 'hierarchy', v1))
      expect(rooms.map(({ room_id }: { room_id: string }) => room_id)).toEqual([space, own])
      expect(await join(room)).toMatchObject({ status: 200 })
      peer.lie('hierarchy', undefined)
    })

    test('no knocking: the client gets an error', async () => {
      const room = peer.room()
      refuse('make_knock')
      const answer = await alice.ask('POST', `${v3}/knock/${name(room.roomId)}?via=${name(peer.serverName)}`, {})
      expect(answer).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
      expect((await alice.get(`${v3}/sync`)).rooms?.knock?.[room.roomId]).toBeUndefined()
      peer.lie('make_knock', undefined)
    })

    test('no custom profile fields: names are found, and other fields are not', async () => {
      const userId = name(`@p:${peer.serverName}`)
      peer.lie('profile', ({ query }, response) => {
        const field = query.get('field')
        if (field === null || field === 'displayname') return { displayname: 'Peer', avatar_url: null }
        return answerWith(response, 400, { errcode: 'M_INVALID_PARAM', error: 'Unknown field' })
      })
      expect(await alice.get(`${v3}/profile/${userId}`)).toEqual({ displayname: 'Peer' })
      expect(await alice.get(`${v3}/profile/${userId}/displayname`)).toEqual({ displayname: 'Peer' })
      expect(await alice.ask('GET', `${v3}/profile/${userId}/m.tz`)).toMatchObject({
        status: 404,
        body: { errcode: 'M_NOT_FOUND' },
      })
      peer.lie('profile', undefined)
    })
  })
})

function deviceKeys(user_id: string, device_id: string): object {
  const keys = { [`ed25519:${device_id}`]: 'x', [`curve25519:${device_id}`]: 'x' }
  return { user_id, device_id, algorithms: ['m.megolm.v1.aes-sha2'], keys, signatures: {} }
}
