import { INVALID, MISSING, NOT_FOUND, type Rows } from './row.ts'
import type { Fields } from './shape.ts'

const ITEM: Fields = {
  ...{ media_id: 'string', media_type: 'string', media_length: 'number', upload_name: 'string?' },
  ...{ created_ts: 'number', last_access_ts: 'number?', quarantined_by: 'string?' },
  safe_from_quarantine: 'boolean?',
}
const RECORD: Fields = {
  ...ITEM,
  ...{ media_origin: 'string?', user_id: 'string?', filesystem_id: 'string?', url_cache: 'string?' },
  ...{ authenticated: 'boolean', sha256: 'string?' },
}
const OWN_ITEM: Fields = {
  ...ITEM,
  ...{ '+media_origin': 'string?', '+filesystem_id': 'string?', user_id: 'string?', url_cache: 'string?' },
  ...{ authenticated: 'boolean', sha256: 'string?' },
}
const DELETED: Fields = { deleted_media: 'list', total: 'number' }
const QUARANTINED: Fields = { num_quarantined: 'number' }
const SILENT = 'changes nothing'
const OLD = 'before_ts=30000000001'

export const MEDIA_ROWS: Rows = {
  'GET v1/media/{server}/{media}': {
    answer: { media_info: RECORD },
    refused: [{ path: 'v1/media/{server}/none', status: 404, errcode: NOT_FOUND }],
  },
  'GET v1/room/{room}/media': { answer: { local: ['string'], remote: 'list' }, synapse: { why: SILENT, unknown: 200 } },
  'GET v1/users/{user}/media': {
    query: 'limit=1',
    remoteCode: 'M_UNKNOWN',
    answer: { media: [OWN_ITEM], total: 'number', next_token: 'number' },
    refused: [{ path: 'v1/users/{user}/media?order_by=height', status: 400, errcode: INVALID }],
  },
  'GET v1/statistics/users/media': {
    query: 'search_term={localpart}',
    answer: {
      users: [{ user_id: 'string', displayname: 'string?', media_count: 'number', media_length: 'number' }],
      ...{ total: 'number', 'next_token?': 'number' },
    },
    refused: [
      { path: 'v1/statistics/users/media?order_by=height', status: 400, errcode: INVALID },
      { path: 'v1/statistics/users/media?search_term=', status: 400, errcode: INVALID },
      { path: 'v1/statistics/users/media?from_ts=10&until_ts=5', status: 400, errcode: INVALID },
    ],
  },
  'POST v1/media/quarantine/{server}/{media}': { answer: {} },
  'POST v1/media/unquarantine/{server}/{media}': { answer: {} },
  'GET v1/media/quarantine_changes': {
    answer: { next_batch: 'number', changes: [{ origin: 'string', media_id: 'string', quarantined: 'boolean' }] },
    refused: [{ path: 'v1/media/quarantine_changes?from=99999999999', status: 400, errcode: INVALID }],
  },
  'POST v1/media/protect/{media}': {
    answer: {},
    refused: [{ path: 'v1/media/protect/none', status: 404, errcode: NOT_FOUND }],
    synapse: { why: SILENT, refusals: 'other' },
  },
  'POST v1/media/unprotect/{media}': {
    answer: {},
    refused: [{ path: 'v1/media/unprotect/none', status: 404, errcode: NOT_FOUND }],
    synapse: { why: SILENT, refusals: 'other' },
  },
  'POST v1/room/{room}/media/quarantine': { answer: QUARANTINED, synapse: { why: SILENT, unknown: 200 } },
  'POST v1/quarantine_media/{room}': { answer: QUARANTINED, synapse: { why: SILENT, unknown: 200 } },
  'POST v1/user/{user}/media/quarantine': { answer: QUARANTINED, synapse: { why: SILENT, remote: 200, unknown: 200 } },
  'POST v1/media/delete': {
    query: OLD,
    answer: DELETED,
    refused: [
      { path: 'v1/media/delete', status: 400, errcode: MISSING },
      { path: 'v1/media/delete?before_ts=29999999999', status: 400, errcode: INVALID },
    ],
  },
  'POST v1/media/{server}/delete': {
    query: OLD,
    answer: DELETED,
    refused: [{ path: `v1/media/remote.example.org/delete?${OLD}`, status: 400, errcode: 'M_UNKNOWN' }],
  },
  'POST v1/purge_media_cache': {
    query: OLD,
    answer: { deleted: 'number' },
    refused: [
      { path: 'v1/purge_media_cache', status: 400, errcode: MISSING },
      { path: 'v1/purge_media_cache?before_ts=29999999999', status: 400, errcode: INVALID },
    ],
  },
  'DELETE v1/media/{server}/{spareMedia}': {
    answer: DELETED,
    refused: [
      { path: 'v1/media/remote.example.org/{media}', status: 400, errcode: 'M_UNKNOWN' },
      { path: 'v1/media/{server}/none', status: 404, errcode: NOT_FOUND },
    ],
  },
  'DELETE v1/users/{friend}/media': { answer: DELETED },
}
