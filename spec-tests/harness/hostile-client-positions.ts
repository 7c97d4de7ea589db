import { uniqueName } from './client.ts'
import {
  authorisedJoin,
  filterOf,
  keyedState,
  memberships,
  messages,
  powerLevels,
  relations,
  roomState,
  type State,
  stateEvent,
} from './hostile-contents.ts'
import { type HostileRequest, type HostileRoom, hostilePath } from './hostile-room.ts'
import { encodeHostile } from './hostile-strings.ts'
import type { HostileWorld } from './hostile-world.ts'
import { roomPath, v1, v3 } from './rooms.ts'
import { UNSTABLE_SLIDING_SYNC } from './sliding-client.ts'

/** The target of a hostile text. */
export type Place = HostileRoom & { world: HostileWorld }

/** Requests of a client with a text in one kind of position. */
export type ClientPosition = { name: string; requests(text: string, place: Place): HostileRequest[] }

const user = ({ mallory }: Place) => `${v3}/user/${encodeURIComponent(mallory.userId)}`
const send = ({ roomId }: Place, content: object, type = 'm.room.message'): HostileRequest => ({
  path: hostilePath(roomId, 'send', type, uniqueName()),
  body: { msgtype: 'm.text', body: 'hostile', ...content },
})
const asRequest = ({ roomId }: Place, { type, state_key, content }: State): HostileRequest => ({
  path: hostilePath(roomId, 'state', type, state_key),
  body: content,
})

const position = (name: string, requests: ClientPosition['requests']): ClientPosition => ({ name, requests })

/** Returns the users with all power in the hostile room. */
export const owners = ({ world, mallory }: Place) => [world.alice.userId, mallory.userId, world.peer.userId]

/** In rooms. */
export const ROOM_POSITIONS: ClientPosition[] = [
  position('relations of messages', (text, place) =>
    relations(text, place.eventId).map((relation) => send(place, { 'm.relates_to': relation })),
  ),
  position('relations of reactions', (text, place) =>
    relations(text, place.eventId).map((relation) => send(place, { 'm.relates_to': relation }, 'm.reaction')),
  ),
  position('messages', (text, place) => messages(text, place.eventId).map((content) => send(place, content))),
  position('types', (text, place) => [
    send(place, {}, text),
    send(place, { 'm.relates_to': { rel_type: 'm.thread', event_id: place.eventId } }, `m${text}`),
    send(place, { algorithm: text, ciphertext: text, device_id: text, sender_key: text }, 'm.room.encrypted'),
  ]),
  position('the state of a room', (text, place) => roomState(text).map((event) => asRequest(place, event))),
  position('state keys', (text, place) => keyedState(text).map((event) => asRequest(place, event))),
  position('members', (text, place) =>
    [...memberships(text, place.mallory.userId), authorisedJoin(text, place.mallory.userId)].map((event) =>
      asRequest(place, event),
    ),
  ),
  position('power levels', (text, place) =>
    [text, `@${text}:x`].map((name) =>
      asRequest(place, stateEvent('m.room.power_levels', powerLevels(owners(place), name))),
    ),
  ),
  position('transaction ids', (text, { roomId, eventId }) => [
    { path: hostilePath(roomId, 'send', 'm.room.message', text), body: { body: 'hostile' } },
    { path: hostilePath(roomId, 'redact', eventId.replace('$', '$no'), text), body: {} },
    { path: `${v3}/sendToDevice/m.test/${encodeHostile(text)}`, body: { messages: {} } },
  ]),
  position('redactions', (text, place) => [
    { path: hostilePath(place.roomId, 'redact', `$${text}`, uniqueName()), body: { reason: text } },
    { path: hostilePath(place.roomId, 'redact', text, uniqueName()), body: {} },
    send(place, { redacts: `$${text}` }, 'm.room.redaction'),
    send(place, { redacts: text }, 'm.room.redaction'),
  ]),
  position('delayed events', (text, { roomId }) => {
    const unstable = `/_matrix/client/unstable/org.matrix.msc4140`
    const path = `${unstable}/rooms/${encodeURIComponent(roomId)}/delayed_event`
    return [
      { path: `${path}/${encodeHostile(text)}/${uniqueName()}`, body: { delay_ms: 1, content: { body: text } } },
      { path: `${path}/m.x/${encodeHostile(text)}`, body: { delay_ms: 1, state_key: text, content: {} } },
      { method: 'POST', path: `${unstable}/delayed_events/${encodeHostile(text)}/cancel`, body: {} },
    ]
  }),
  position('new rooms', (text) => [
    { method: 'POST', path: `${v3}/createRoom`, body: { name: text, topic: text, room_alias_name: text } },
    { method: 'POST', path: `${v3}/createRoom`, body: { invite: [`@${text}:x`], room_version: text } },
    {
      method: 'POST',
      path: `${v3}/createRoom`,
      body: {
        preset: 'public_chat',
        visibility: 'public',
        name: text,
        topic: text,
        creation_content: { type: text, predecessor: { room_id: `!${text}:x`, event_id: `$${text}` } },
        initial_state: [
          { type: 'm.room.encryption', content: { algorithm: text } },
          { type: 'm.room.tombstone', content: { replacement_room: `!${text}:x`, body: text } },
          { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow: [{ type: text, room_id: text }] } },
        ],
      },
    },
    {
      method: 'POST',
      path: `${v3}/createRoom`,
      body: { initial_state: [{ type: text, state_key: text, content: {} }] },
    },
  ]),
  position('paths', (text, { roomId, eventId }) =>
    [
      ...['state', 'messages', 'members', 'aliases'].map(
        (verb) => `${v3}/rooms/${encodeHostile(`!${text}:x`)}/${verb}`,
      ),
      hostilePath(roomId, 'event', `$${text}`),
      hostilePath(roomId, 'context', `$${text}`),
      roomPath(roomId, `relations/${encodeHostile(`$${text}`)}`, v1),
      roomPath(roomId, `relations/${encodeURIComponent(eventId)}/${encodeHostile(text)}`, v1),
      roomPath(roomId, `messages?dir=b&from=${encodeHostile(text)}`),
      roomPath(roomId, `threads?from=${encodeHostile(text)}`, v1),
      hostilePath(roomId, 'state', text, text),
      `${v1}/room_summary/${encodeHostile(`#${text}:x`)}`,
      `${v3}/directory/room/${encodeHostile(`#${text}:x`)}`,
      `${v3}/events/${encodeHostile(`$${text}`)}`,
    ].map((path): HostileRequest => ({ method: 'GET', path })),
  ),
]

/** In data of a user. */
export const USER_POSITIONS: ClientPosition[] = [
  position('ignored users', (text, place) => [
    {
      path: `${user(place)}/account_data/m.ignored_user_list`,
      body: { ignored_users: { [text]: {}, [`@${text}:x`]: {} } },
    },
  ]),
  position('direct rooms', (text, place) => [
    {
      path: `${user(place)}/account_data/m.direct`,
      body: { [text]: [text, `!${text}:x`, 5, {}], [`@${text}:x`]: text },
    },
  ]),
  position('account data', (text, place) => [
    { path: `${user(place)}/account_data/${encodeHostile(text)}`, body: { [text]: text } },
    { path: `${user(place)}/account_data/m.x`, body: { [text]: { deep: [text] } } },
    { path: `${user(place)}/rooms/${encodeURIComponent(place.roomId)}/account_data/${encodeHostile(text)}`, body: {} },
    { path: `${user(place)}/rooms/${encodeHostile(`!${text}:x`)}/account_data/m.x`, body: {} },
  ]),
  position('invite permissions', (text, place) =>
    ['m.invite_permission_config', 'org.matrix.msc4155.invite_permission_config'].map((type) => ({
      path: `${user(place)}/account_data/${type}`,
      body: { default_action: text, blocked_users: [text], ignored_servers: [text], allowed_users: [`*${text}*`] },
    })),
  ),
  position('tags', (text, place) => [
    {
      path: `${user(place)}/rooms/${encodeURIComponent(place.roomId)}/tags/${encodeHostile(text)}`,
      body: { order: 0.5, [text]: text },
    },
    { path: `${user(place)}/rooms/${encodeURIComponent(place.roomId)}/tags/u.x`, body: { order: text } },
  ]),
  position('push rules', (text) => [
    { path: `${v3}/pushrules/global/override/${encodeHostile(text)}`, body: { conditions: [], actions: [] } },
    { path: `${v3}/pushrules/global/room/${encodeHostile(text)}`, body: { actions: [text] } },
    { path: `${v3}/pushrules/global/sender/${encodeHostile(`@${text}:x`)}`, body: { actions: [] } },
    { path: `${v3}/pushrules/global/content/${uniqueName()}`, body: { pattern: text, actions: ['notify'] } },
    {
      path: `${v3}/pushrules/global/override/${uniqueName()}`,
      body: {
        actions: ['notify', { set_tweak: text, value: text }],
        conditions: [
          { kind: 'event_match', key: `content.${text}`, pattern: text },
          { kind: 'event_property_is', key: text, value: text },
          { kind: 'event_property_contains', key: text, value: text },
          { kind: 'room_member_count', is: text },
          { kind: 'sender_notification_permission', key: text },
          { kind: text },
        ],
      },
    },
  ]),
  position('profile fields', (text, { mallory }) => {
    const path = `${v3}/profile/${encodeURIComponent(mallory.userId)}`
    return [
      { path: `${path}/displayname`, body: { displayname: text } },
      { path: `${path}/avatar_url`, body: { avatar_url: text } },
      { path: `${path}/${encodeHostile(text)}`, body: { [text]: text } },
      { path: `${path}/org.example.field`, body: { 'org.example.field': { [text]: [text] } } },
    ]
  }),
  position('presence', (text, { mallory }) => [
    {
      path: `${v3}/presence/${encodeURIComponent(mallory.userId)}/status`,
      body: { presence: 'online', status_msg: text },
    },
    { path: `${v3}/presence/${encodeURIComponent(mallory.userId)}/status`, body: { presence: text } },
  ]),
  position('receipts and markers', (text, { roomId, eventId }) => [
    { method: 'POST', path: hostilePath(roomId, 'receipt/m.read', eventId), body: { thread_id: text } },
    { method: 'POST', path: hostilePath(roomId, 'receipt/m.read.private', eventId), body: { thread_id: `$${text}` } },
    { method: 'POST', path: hostilePath(roomId, 'receipt/m.read', `$${text}`), body: {} },
    { method: 'POST', path: hostilePath(roomId, 'receipt', text, eventId), body: {} },
    { method: 'POST', path: hostilePath(roomId, 'read_markers'), body: { 'm.fully_read': `$${text}`, 'm.read': text } },
  ]),
  position('typing', (text, { roomId }) => [
    { path: hostilePath(roomId, 'typing', `@${text}:x`), body: { typing: true, timeout: 1000 } },
  ]),
  position('filters', (text, place) => [
    { method: 'POST', path: `${user(place)}/filter`, body: filterOf(text) },
    { method: 'GET', path: `${user(place)}/filter/${encodeHostile(text)}` },
    { method: 'GET', path: `${v3}/sync?filter=${encodeHostile(JSON.stringify(filterOf(text)))}` },
    { method: 'GET', path: `${v3}/sync?since=${encodeHostile(text)}&set_presence=online` },
    {
      method: 'GET',
      path: roomPath(
        place.roomId,
        `messages?dir=b&filter=${encodeHostile(JSON.stringify(filterOf(text).room.timeline))}`,
      ),
    },
  ]),
  position('searches', (text, { roomId }) => [
    {
      method: 'POST',
      path: `${v3}/search`,
      body: { search_categories: { room_events: { search_term: text, filter: filterOf(text).room.timeline } } },
    },
    {
      method: 'POST',
      path: `${v3}/search?next_batch=${encodeHostile(text)}`,
      body: { search_categories: { room_events: { search_term: `hello ${text}`, filter: { rooms: [roomId, text] } } } },
    },
    { method: 'POST', path: `${v3}/user_directory/search`, body: { search_term: text } },
    { method: 'POST', path: `${v3}/user_directory/search`, body: { search_term: `@a${text}:${text}` } },
    {
      method: 'POST',
      path: `${v3}/publicRooms`,
      body: { filter: { generic_search_term: text, room_types: [text, null] }, since: text },
    },
    { method: 'POST', path: `${v3}/publicRooms`, body: { filter: { generic_search_term: text, room_types: [text] } } },
    { method: 'POST', path: `${v3}/publicRooms`, body: { third_party_instance_id: text } },
  ]),
  position('sliding sync', (text, { roomId }) => [
    {
      method: 'POST',
      path: UNSTABLE_SLIDING_SYNC,
      body: {
        conn_id: text,
        lists: { [text]: { ranges: [[0, 5]], required_state: [[text, text]], timeline_limit: 5 } },
        room_subscriptions: { [`!${text}:x`]: { required_state: [[text, '*']], timeline_limit: 5 } },
      },
    },
    {
      method: 'POST',
      path: UNSTABLE_SLIDING_SYNC,
      body: {
        lists: {
          a: {
            ranges: [[0, 5]],
            required_state: [],
            timeline_limit: 5,
            filters: {
              room_types: [text],
              not_room_types: [text],
              room_name_like: text,
              spaces: [text, `!${text}:x`],
              tags: [text],
              not_tags: [text],
            },
          },
        },
        extensions: {
          account_data: { enabled: true, rooms: [text, roomId], lists: [text] },
          to_device: { enabled: true, since: text },
        },
      },
    },
    {
      method: 'POST',
      path: UNSTABLE_SLIDING_SYNC,
      body: { lists: { a: { ranges: [[0, 5]], required_state: [], timeline_limit: 5, filters: { is_dm: true } } } },
    },
  ]),
  position('reports', (text, { roomId, eventId, mallory }) => [
    { method: 'POST', path: hostilePath(roomId, 'report', eventId), body: { reason: text, score: -1 } },
    { method: 'POST', path: hostilePath(roomId, 'report'), body: { reason: text } },
    { method: 'POST', path: `${v3}/users/${encodeURIComponent(mallory.userId)}/report`, body: { reason: text } },
    { method: 'POST', path: `${v3}/users/${encodeHostile(`@${text}:x`)}/report`, body: { reason: 'x' } },
  ]),
  position('threads that are followed', (text, { roomId }) => [
    {
      path: `/_matrix/client/unstable/io.element.msc4306/rooms/${encodeURIComponent(roomId)}/thread/${encodeHostile(`$${text}`)}/subscription`,
      body: { automatic: `$${text}` },
    },
  ]),
  position('pushers', (text) => {
    const names = { app_display_name: text, device_display_name: text, lang: text, profile_tag: text }
    const url = 'http://127.0.0.1:9/_matrix/push/v1/notify'
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/pushers/set`, body })
    return [
      post({ kind: 'http', app_id: text, pushkey: text, ...names, data: { url } }),
      post({ kind: 'http', app_id: 'app', pushkey: 'mallory', ...names, data: { url, format: text, [text]: text } }),
      post({ kind: 'http', app_id: 'app', pushkey: 'mallory', ...names, data: { url: text } }),
      post({ kind: 'email', app_id: 'm.email', pushkey: text, ...names, data: {} }),
      post({ kind: null, app_id: text, pushkey: text }),
      post({ kind: null, app_id: 'app', pushkey: 'mallory' }),
    ]
  }),
]
