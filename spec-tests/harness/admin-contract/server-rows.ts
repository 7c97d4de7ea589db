import { BAD_JSON, INVALID, MISSING, NOT_FOUND, type Rows, UNUSED } from './row.ts'
import type { Fields } from './shape.ts'

const EVENT_REPORT: Fields = {
  ...{ id: 'number', received_ts: 'number', room_id: 'string', name: 'string?', canonical_alias: 'string?' },
  ...{ event_id: 'string', user_id: 'string', sender: 'string', reason: 'string?', score: 'number?' },
}
const USER_REPORT: Fields = {
  id: 'number',
  received_ts: 'number',
  target_user_id: 'string',
  user_id: 'string',
  reason: 'string?',
}
const DESTINATION: Fields = {
  ...{ destination: 'string', retry_last_ts: 'number', retry_interval: 'number', failure_ts: 'number?' },
  last_successful_stream_ordering: 'number?',
}
const NO_PEER = { why: 'takes minutes to give up a server', skipped: true } as const
const NOTICE = { user_id: '{friend}', content: { msgtype: 'm.text', body: 'Contract' } } as const
const BAD_NOTICES = [
  { body: { user_id: '{friend}' }, status: 400, errcode: MISSING },
  { body: { ...NOTICE, user_id: '{remote}' }, status: 400, errcode: 'M_UNKNOWN' },
  { body: { ...NOTICE, user_id: '{nobody}' }, status: 404, errcode: NOT_FOUND },
  { body: { ...NOTICE, user_id: 'neither' }, status: 400, errcode: BAD_JSON },
] as const
const reports = (path: string) => [
  { path: `${path}/99999999`, status: 404, errcode: NOT_FOUND },
  { path: `${path}/neither`, status: 400, errcode: INVALID },
]

export const SERVER_ROWS: Rows = {
  'GET v1/server_version': { answer: { server_version: 'string' } },
  'GET v1/background_updates/status': { answer: { enabled: 'boolean', current_updates: 'object' } },
  'GET v1/background_updates/enabled': { answer: { enabled: 'boolean' } },
  'POST v1/background_updates/enabled': {
    body: { enabled: true },
    answer: { enabled: 'boolean' },
    refused: [{ body: { enabled: 'x' }, status: 400, errcode: BAD_JSON }],
  },
  'POST v1/background_updates/start_job': {
    body: { job_name: 'populate_stats_process_rooms' },
    answer: {},
    synapse: { why: 'a new server runs this job already', skipped: true },
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { job_name: 'none' }, status: 400, errcode: BAD_JSON },
    ],
  },
  'GET v1/scheduled_tasks': {
    query: 'action_name=none&action_name={redactAction}&status=complete&from=0&order_by=id',
    answer: {
      scheduled_tasks: [
        {
          ...{ id: 'string', action: 'string', status: 'string', timestamp_ms: 'number' },
          ...{ resource_id: 'string?', result: 'object?', error: 'string?' },
        },
      ],
    },
    refused: [{ path: 'v1/scheduled_tasks?status=none', status: 400, errcode: INVALID }],
  },
  'POST v1/send_server_notice': { body: NOTICE, answer: { event_id: 'string' }, refused: BAD_NOTICES },
  'PUT v1/send_server_notice/{name}': {
    body: NOTICE,
    answer: { event_id: 'string' },
    refused: BAD_NOTICES.map((refusal, index) => ({ ...refusal, path: `v1/send_server_notice/{name}${index}` })),
  },
  'GET v1/statistics/database/rooms': {
    query: UNUSED,
    answer: { rooms: 'list' },
    synapse: { why: 'has it on PostgreSQL only', skipped: true },
  },
  'GET v1/event_reports': {
    query: 'limit=1&order_by=id&dir=b',
    answer: { event_reports: [EVENT_REPORT], total: 'number', next_token: 'number' },
  },
  'GET v1/event_reports/{report}': {
    answer: { ...EVENT_REPORT, event_json: 'object' },
    refused: reports('v1/event_reports'),
  },
  'DELETE v1/event_reports/{spareReport}': { answer: {}, refused: reports('v1/event_reports') },
  'GET v1/user_reports': {
    query: 'limit=1&order_by=id&dir=b',
    answer: { user_reports: [USER_REPORT], total: 'number', next_token: 'number' },
  },
  'GET v1/user_reports/{userReport}': { answer: USER_REPORT, refused: reports('v1/user_reports') },
  'DELETE v1/user_reports/{spareUserReport}': { answer: {}, refused: reports('v1/user_reports') },
  'GET v1/federation/destinations': {
    query: 'limit=1',
    answer: { destinations: [DESTINATION], total: 'number', 'next_token?': 'string' },
    synapse: NO_PEER,
    refused: [{ path: 'v1/federation/destinations?order_by=height', status: 400, errcode: INVALID }],
  },
  'GET v1/federation/destinations/{away}': {
    answer: DESTINATION,
    synapse: NO_PEER,
    refused: [{ path: 'v1/federation/destinations/none.example.org', status: 404, errcode: NOT_FOUND }],
  },
  'GET v1/federation/destinations/{away}/rooms': {
    answer: { rooms: 'list', total: 'number', 'next_token?': 'string' },
    synapse: NO_PEER,
    refused: [{ path: 'v1/federation/destinations/none.example.org/rooms', status: 404, errcode: NOT_FOUND }],
  },
  'POST v1/federation/destinations/{away}/reset_connection': {
    answer: {},
    synapse: NO_PEER,
    refused: [
      { path: 'v1/federation/destinations/none.example.org/reset_connection', status: 404, errcode: NOT_FOUND },
    ],
  },
}
