import { BAD_JSON, INVALID, MISSING, NOT_FOUND, type Rows, UNUSED } from './row.ts'
import { EVENT, type Fields } from './shape.ts'

const ROOM: Fields = {
  ...{ room_id: 'string', name: 'string?', canonical_alias: 'string?', joined_members: 'number' },
  ...{ joined_local_members: 'number', version: 'string', creator: 'string', encryption: 'string?' },
  ...{ federatable: 'boolean', public: 'boolean', join_rules: 'string?', guest_access: 'string?' },
  ...{ history_visibility: 'string?', state_events: 'number', room_type: 'string?' },
}
const DELETED: Fields = {
  ...{ kicked_users: 'list', failed_to_kick_users: 'list', local_aliases: 'list', new_room_id: 'string?' },
}
const DELETION: Fields = { delete_id: 'string', room_id: 'string', status: 'string', shutdown_room: DELETED }
const TAKES_ANY = 'looks only in a table of its own'
const BAD_DELETION = [
  { body: { block: 'x' }, status: 400, errcode: BAD_JSON },
  { body: { purge: 'x' }, status: 400, errcode: BAD_JSON },
  { body: { force_purge: 'x' }, status: 400, errcode: BAD_JSON },
] as const

export const ROOM_ROWS: Rows = {
  'GET v1/rooms': {
    query: 'limit=1&from=1',
    answer: {
      ...{ offset: 'number', rooms: [ROOM], total_rooms: 'number', next_batch: 'number', prev_batch: 'number' },
    },
    refused: [
      // Element Admin counts so.
      { path: 'v1/rooms?limit=0', status: 200, errcode: '' },
      { path: 'v1/rooms?search_term=', status: 400, errcode: INVALID },
      { path: 'v1/rooms?order_by=height', status: 400, errcode: INVALID },
    ],
  },
  'GET v1/rooms/{room}': {
    answer: {
      ...{ ...ROOM, topic: 'string?', avatar: 'string?', joined_local_devices: 'number', forgotten: 'boolean' },
      ...{ tombstoned: 'boolean', replacement_room: 'string?' },
    },
  },
  'GET v1/rooms/{room}/members': { query: UNUSED, answer: { members: ['string'], total: 'number' } },
  'GET v1/rooms/{room}/state': { answer: { state: [{ ...EVENT, state_key: 'string' }] } },
  'GET v1/rooms/{room}/messages': {
    query: 'dir=b&limit=1',
    answer: { start: 'string', 'end?': 'string', chunk: [EVENT], 'state?': 'list' },
    synapse: { why: 'finds no messages', unknown: 200 },
  },
  'GET v1/rooms/{room}/context/{event}': {
    answer: {
      ...{ start: 'string', end: 'string', event: EVENT, events_before: 'list', events_after: 'list' },
      state: [{ ...EVENT, state_key: 'string' }],
    },
    refused: [{ path: 'v1/rooms/{room}/context/$none', status: 404, errcode: NOT_FOUND }],
  },
  'GET v1/rooms/{room}/timestamp_to_event': {
    query: 'ts=0&dir=f',
    answer: { event_id: 'string', origin_server_ts: 'number' },
    refused: [{ path: 'v1/rooms/{room}/timestamp_to_event', status: 400, errcode: MISSING }],
  },
  'GET v1/rooms/{room}/hierarchy': {
    answer: {
      rooms: [{ room_id: 'string', children_state: 'list', num_joined_members: 'number', '*': 'object' }],
      'next_batch?': 'string',
    },
    synapse: { why: 'does not tell an unknown room from a hidden one', unknown: 500 },
  },
  'GET v1/rooms/{room}/block': { answer: { block: 'boolean', 'user_id?': 'string' }, unknown: 200 },
  'PUT v1/rooms/{room}/block': {
    body: { block: false },
    answer: { block: 'boolean' },
    unknown: 200,
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { block: 'x' }, status: 400, errcode: BAD_JSON },
    ],
  },
  'POST v1/rooms/{room}/make_room_admin': {
    body: { user_id: '{friend}' },
    answer: {},
    unknown: 404,
    refused: [{ path: 'v1/rooms/{noAlias}/make_room_admin', status: 404, errcode: NOT_FOUND }],
    synapse: { why: 'does not tell unknown rooms from those that it has left', unknown: 400 },
  },
  'POST v1/join/{open}': {
    body: { user_id: '{friend}' },
    answer: { room_id: 'string' },
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { user_id: '{remote}' }, status: 400, errcode: INVALID },
      { body: { user_id: '{nobody}' }, status: 404, errcode: NOT_FOUND },
      { path: 'v1/join/{noAlias}', body: { user_id: '{friend}' }, status: 404, errcode: NOT_FOUND },
      { path: 'v1/join/neither', body: { user_id: '{friend}' }, status: 400, errcode: INVALID },
    ],
  },
  'GET v1/rooms/{room}/forward_extremities': {
    answer: {
      count: 'number',
      results: [{ event_id: 'string', state_group: 'number', depth: 'number', received_ts: 'number' }],
    },
    synapse: { why: TAKES_ANY, unknown: 200 },
  },
  'DELETE v1/rooms/{room}/forward_extremities': {
    answer: { deleted: 'number' },
    synapse: { why: TAKES_ANY, unknown: 500 },
  },
  'GET v1/fetch_event/{event}': {
    answer: { event: EVENT },
    refused: [{ path: 'v1/fetch_event/$none', status: 404, errcode: NOT_FOUND }],
  },
  'POST v1/purge_history/{room}': {
    body: { purge_up_to_event_id: '{event}', delete_local_events: false },
    answer: { purge_id: 'string' },
    refused: [
      { body: {}, status: 400, errcode: BAD_JSON },
      { body: { purge_up_to_event_id: '$none' }, status: 404, errcode: NOT_FOUND },
      { body: { purge_up_to_ts: 'x' }, status: 400, errcode: BAD_JSON },
    ],
    synapse: { why: 'looks for the event only', unknown: 400 },
  },
  'POST v1/purge_history/{purged}/{last}': {
    body: { delete_local_events: true },
    answer: { purge_id: 'string' },
    refused: [
      { path: 'v1/purge_history/{purged}/$none', status: 404, errcode: NOT_FOUND },
      { path: 'v1/purge_history/{purged}/{event}', status: 400, errcode: INVALID },
    ],
  },
  'GET v1/purge_history_status/{purge}': {
    answer: { status: 'string' },
    refused: [{ path: 'v1/purge_history_status/none', status: 404, errcode: NOT_FOUND }],
  },
  // Without a purge, for which processes on PostgreSQL wait for each other.
  'DELETE v1/rooms/{doomed}': {
    body: { new_room_user_id: '{admin}', room_name: 'Notice', message: 'm', block: false, purge: false },
    answer: DELETED,
    refused: BAD_DELETION,
  },
  'DELETE v2/rooms/{doomedLater}': {
    body: { block: true, force_purge: false },
    answer: { delete_id: 'string' },
    refused: [...BAD_DELETION, { path: 'v2/rooms/neither', body: {}, status: 400, errcode: INVALID }],
  },
  'GET v2/rooms/{gone}/delete_status': {
    answer: { results: [DELETION] },
    refused: [{ path: 'v2/rooms/!none:example.org/delete_status', status: 404, errcode: NOT_FOUND }],
  },
  'GET v2/rooms/delete_status/{deletion}': {
    answer: DELETION,
    refused: [{ path: 'v2/rooms/delete_status/none', status: 404, errcode: NOT_FOUND }],
  },
}
