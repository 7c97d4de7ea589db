import fc from 'fast-check'
import { uniqueName } from '../harness/client.ts'
import { ACCOUNT_POSITIONS, KEY_POSITIONS } from '../harness/hostile-account-positions.ts'
import {
  type ClientPosition,
  owners,
  type Place,
  ROOM_POSITIONS,
  USER_POSITIONS,
} from '../harness/hostile-client-positions.ts'
import {
  keyedState,
  memberships,
  messages,
  powerLevels,
  relations,
  roomState,
  stateEvent,
} from '../harness/hostile-contents.ts'
import { expectAllWorks, type HostileRequest, hostileRoom, type PeerEvent } from '../harness/hostile-room.ts'
import { encodeHostile, HOSTILE_STRINGS } from '../harness/hostile-strings.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'

async function placeOf(world: HostileWorld): Promise<Place> {
  return { ...(await hostileRoom(world)), world }
}

/** Returns an attack that puts every hostile string into one position of a local user's requests. */
function byClient({ name, requests }: ClientPosition): Attack {
  return {
    name: `a client: ${name}`,
    async attempt(world) {
      const place = await placeOf(world)
      for (const text of HOSTILE_STRINGS) await Promise.all(requests(text, place).map(place.attack))
      await expectAllWorks(world)
    },
  }
}

/** The same in events of another server. */
function byPeerEvent(name: string, events: (text: string, place: Place) => PeerEvent[]): Attack {
  return {
    name: `an event of a peer: ${name}`,
    async attempt(world) {
      const place = await placeOf(world)
      await place.sendEvents(...HOSTILE_STRINGS.flatMap((text) => events(text, place)))
      await expectAllWorks(world)
    },
  }
}

type Edu = { edu_type: string; content: unknown }

/** The same in EDUs. */
function byPeerEdu(name: string, edus: (text: string, place: Place) => Edu[]): Attack {
  return {
    name: `an EDU of a peer: ${name}`,
    async attempt(world) {
      const place = await placeOf(world)
      for (const text of HOSTILE_STRINGS) await place.sendEdus(...edus(text, place))
      await expectAllWorks(world)
    },
  }
}

/** The same in requests that another server signs. */
function byPeerRequest(name: string, requests: (text: string, place: Place) => HostileRequest[]): Attack {
  return {
    name: `a request of a peer: ${name}`,
    async attempt(world) {
      const place = await placeOf(world)
      for (const text of HOSTILE_STRINGS) await Promise.all(requests(text, place).map(place.ask))
      await expectAllWorks(world)
    },
  }
}

const message = (content: object): PeerEvent => ({ content: { msgtype: 'm.text', body: 'hostile', ...content } })

const CLIENT_POSITIONS = [...ROOM_POSITIONS, ...USER_POSITIONS, ...KEY_POSITIONS, ...ACCOUNT_POSITIONS]

/** Strings of troublesome characters between any others. */
const oddString = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\0', '\ud800', '\udfff', '\ufeff', '\u202e', '\\', '"', '%', '$', '!', '@', ':', '/', '.', '*'),
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  ),
  maxLength: 300,
})

const RANDOM: Attack = {
  name: 'a client: random strings in random positions',
  async attempt(world) {
    const place = await placeOf(world)
    const choices = fc.sample(fc.tuple(fc.constantFrom(...CLIENT_POSITIONS), oddString), { seed: 13, numRuns: 80 })
    for (const [{ requests }, text] of choices) await Promise.all(requests(text, place).map(place.attack))
    await expectAllWorks(world)
  },
}

const REDACTED_STATE: Attack = {
  name: 'an event of a peer: redactions of members, and of other state, with odd keys',
  async attempt(world) {
    const place = await placeOf(world)
    const state = HOSTILE_STRINGS.flatMap((text) => [...memberships(text, world.peer.userId), ...keyedState(text)])
    const ids = await place.sendEvents(...(state as PeerEvent[]))
    await place.sendEvents(...ids.map((redacts) => ({ type: 'm.room.redaction', content: { redacts } })))
    await expectAllWorks(world)
  },
}

const FROM_PEERS: Attack[] = [
  REDACTED_STATE,
  byPeerEvent('relations', (text, { eventId }) =>
    relations(text, eventId).map((relation) => message({ 'm.relates_to': relation })),
  ),
  byPeerEvent('relations of reactions', (text, { eventId }) =>
    relations(text, eventId).map((relation) => ({
      type: 'm.reaction',
      content: { 'm.relates_to': relation } as never,
    })),
  ),
  byPeerEvent('messages', (text, { eventId }) => messages(text, eventId).map(message)),
  byPeerEvent('types and `unsigned`', (text) => [
    { ...message({}), type: text },
    { ...message({}), type: `m.${text}`, unsigned: { [text]: text, age: text, transaction_id: text } },
    { type: text.slice(0, 255), state_key: text.slice(0, 255), content: {} },
  ]),
  byPeerEvent('the state of a room', (text) => roomState(text) as PeerEvent[]),
  byPeerEvent('state keys', (text) => keyedState(text) as PeerEvent[]),
  byPeerEvent(
    'members',
    (
      text,
      {
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => memberships(text, peerUser) as PeerEvent[],
  ),
  byPeerEvent('power levels', (text, place) =>
    [text, `@${text}:x`].map(
      (name) => stateEvent('m.room.power_levels', powerLevels(owners(place), name)) as PeerEvent,
    ),
  ),
  byPeerEvent('redactions', (text) => [
    { type: 'm.room.redaction', content: { redacts: `$${text}`, reason: text } },
    { type: 'm.room.redaction', content: { redacts: text } },
    { type: 'm.room.redaction', redacts: `$${text}`, content: {} },
  ]),
  byPeerEdu(
    'typing',
    (
      text,
      {
        roomId,
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => [
      { edu_type: 'm.typing', content: { room_id: roomId, user_id: `@${text}:x`, typing: true } },
      { edu_type: 'm.typing', content: { room_id: `!${text}:x`, user_id: peerUser, typing: true } },
    ],
  ),
  byPeerEdu(
    'receipts',
    (
      text,
      {
        roomId,
        eventId,
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => {
      const receipt = (event_ids: string[], data: object) => ({ 'm.read': { [peerUser]: { event_ids, data } } })
      return [
        { edu_type: 'm.receipt', content: { [roomId]: receipt([`$${text}`], { ts: 1 }) } },
        { edu_type: 'm.receipt', content: { [roomId]: receipt([text], { ts: 1 }) } },
        { edu_type: 'm.receipt', content: { [roomId]: receipt([eventId], { ts: 1e300, thread_id: text }) } },
        { edu_type: 'm.receipt', content: { [roomId]: receipt([eventId], { ts: 2, thread_id: `$${text}` }) } },
        { edu_type: 'm.receipt', content: { [text]: { [text]: { [text]: { event_ids: [text] } } } } },
      ]
    },
  ),
  byPeerEdu(
    'presence',
    (
      text,
      {
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => [
      { edu_type: 'm.presence', content: { push: [{ user_id: peerUser, presence: 'online', status_msg: text }] } },
      {
        edu_type: 'm.presence',
        content: { push: [{ user_id: `@${text}:x`, presence: text, last_active_ago: 1e300 }] },
      },
      {
        edu_type: 'm.presence',
        content: { push: [{ user_id: peerUser, presence: 'online', last_active_ago: 1e300 }] },
      },
    ],
  ),
  byPeerEdu(
    'device lists',
    (
      text,
      {
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => {
      const device = { user_id: peerUser, device_id: 'D', stream_id: 1, device_display_name: text }
      const keys = { user_id: peerUser, device_id: text, algorithms: [text], keys: { [text]: text }, signatures: {} }
      return [
        { edu_type: 'm.device_list_update', content: { ...device, device_id: text, keys } },
        { edu_type: 'm.device_list_update', content: { ...device, keys: { ...keys, device_id: 'D', [text]: text } } },
        { edu_type: 'm.device_list_update', content: { ...device, stream_id: Number.MAX_SAFE_INTEGER, prev_id: [-1] } },
      ]
    },
  ),
  byPeerEdu(
    'cross-signing keys',
    (
      text,
      {
        world: {
          peer: { userId: peerUser },
        },
      },
    ) => {
      const key = { user_id: peerUser, usage: ['master'], keys: { [`ed25519:${text}`]: text }, [text]: text }
      return [
        { edu_type: 'm.signing_key_update', content: { user_id: peerUser, master_key: key, self_signing_key: key } },
      ]
    },
  ),
  byPeerEdu(
    'messages to devices',
    (
      text,
      {
        world: {
          bob,
          peer: { userId: peerUser },
        },
      },
    ) => {
      const to = { sender: peerUser, type: 'm.x', message_id: uniqueName(), messages: { [bob.userId]: { '*': {} } } }
      return [
        { edu_type: 'm.direct_to_device', content: { ...to, type: text } },
        { edu_type: 'm.direct_to_device', content: { ...to, message_id: text } },
        {
          edu_type: 'm.direct_to_device',
          content: { ...to, messages: { [bob.userId]: { [text]: {}, [bob.deviceId]: { [text]: text } } } },
        },
        { edu_type: 'm.direct_to_device', content: { ...to, messages: { [`@${text}:x`]: { '*': {} } } } },
      ]
    },
  ),
  byPeerEdu('types', (text) => [{ edu_type: text, content: { [text]: text } }]),
  byPeerRequest('queries', (text, { roomId, eventId }) =>
    [
      `/_matrix/federation/v1/query/directory?room_alias=${encodeHostile(`#${text}:x`)}`,
      `/_matrix/federation/v1/query/profile?user_id=${encodeHostile(`@${text}:x`)}&field=${encodeHostile(text)}`,
      `/_matrix/federation/v1/event/${encodeHostile(`$${text}`)}`,
      `/_matrix/federation/v1/state_ids/${encodeURIComponent(roomId)}?event_id=${encodeHostile(`$${text}`)}`,
      `/_matrix/federation/v1/backfill/${encodeURIComponent(roomId)}?v=${encodeHostile(`$${text}`)}&limit=5`,
      `/_matrix/federation/v1/make_join/${encodeURIComponent(roomId)}/${encodeHostile(`@${text}:x`)}?ver=${encodeHostile(text)}`,
      `/_matrix/federation/v1/user/devices/${encodeHostile(`@${text}:x`)}`,
      `/_matrix/federation/v1/event_auth/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`,
    ].map((path): HostileRequest => ({ method: 'GET', path })),
  ),
  byPeerRequest('bodies', (text, { roomId, eventId, mallory }) => [
    {
      method: 'POST',
      path: '/_matrix/federation/v1/user/keys/query',
      body: { device_keys: { [mallory.userId]: [text], [`@${text}:x`]: [] } },
    },
    {
      method: 'POST',
      path: '/_matrix/federation/v1/user/keys/claim',
      body: { one_time_keys: { [mallory.userId]: { [text]: text } } },
    },
    {
      method: 'POST',
      path: `/_matrix/federation/v1/get_missing_events/${encodeURIComponent(roomId)}`,
      body: { earliest_events: [`$${text}`], latest_events: [eventId, `$${text}`], limit: 5 },
    },
    {
      method: 'POST',
      path: '/_matrix/federation/v1/publicRooms',
      body: { filter: { generic_search_term: text, room_types: [text] }, since: text },
    },
    { path: `/_matrix/federation/v1/send/${encodeHostile(text)}`, body: { pdus: [], edus: [] } },
  ]),
]

describeAttacks('values', [...CLIENT_POSITIONS.map(byClient), RANDOM, ...FROM_PEERS])
