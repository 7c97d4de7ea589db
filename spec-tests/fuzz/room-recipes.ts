import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { drawMessage, drawState } from './event-values.ts'
import { referTo } from './references.ts'
import type { Making, Recipe } from './request-draft.ts'
import { drawSlidingBody } from './sliding-values.ts'

/** An image of one pixel, and other beginnings of files. */
const FILES: readonly (string | Buffer)[] = [
  Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    'base64',
  ),
  Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64'),
  '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
  '<html><script>alert(1)</script>',
  'plain text',
  '',
]
const TYPES = [
  'image/png',
  'image/gif',
  'image/svg+xml',
  'text/html',
  'text/plain',
  'application/octet-stream',
  'x',
  '',
]

const v1 = '/_matrix/client/v1'
const v3 = '/_matrix/client/v3'
const media = '/_matrix/media'
const unstable = '/_matrix/client/unstable'
const rendezvous = `${unstable}/org.matrix.msc4108/rendezvous`

function filter({ draw }: Making): unknown {
  return draw.pick<unknown>([
    { room: { timeline: { limit: 5, types: ['m.room.message', 'm.*'] } } },
    { room: { timeline: { limit: 1, unread_thread_notifications: true }, state: { lazy_load_members: true } } },
    { room: { rooms: [referTo('room')], include_leave: true }, event_fields: ['type', 'content.body'] },
    { presence: { types: [] }, account_data: { not_types: ['m.*'] }, event_format: 'federation' },
    { room: { timeline: { senders: [referTo('user')], contains_url: true, related_by_rel_types: ['m.thread'] } } },
  ])
}

function syncQuery(making: Making): Record<string, unknown> {
  const { draw } = making
  return {
    ...(draw.happens(0.75) && { since: referTo('sync token') }),
    ...(draw.happens(0.3) && { filter: draw.happens(0.5) ? referTo('filter') : JSON.stringify(filter(making)) }),
    ...(draw.happens(0.1) && { full_state: 'true' }),
    ...(draw.happens(0.2) && { use_state_after: 'true' }),
    ...(draw.happens(0.2) && { set_presence: draw.pick(['offline', 'online', 'unavailable']) }),
    timeout: '0',
  }
}

const pages: Recipe = ({ draw }) => ({
  query: {
    ...(draw.happens(0.5) && { from: referTo('page') }),
    ...(draw.happens(0.7) && { limit: String(1 + draw.below(20)) }),
    ...(draw.happens(0.3) && { dir: draw.pick(['b', 'f']) }),
    ...(draw.happens(0.2) && { recurse: 'true' }),
  },
})

function sending(making: Making): ReturnType<Recipe> {
  const { type, content } = drawMessage(making.draw)
  return { params: { eventType: type }, body: content }
}

const upload: Recipe = ({ draw }) => ({
  bytes: draw.pick(FILES),
  headers: { 'content-type': draw.pick(TYPES) },
  query: draw.happens(0.5) ? { filename: draw.pick(['a.png', '../../x', 'ü.html', 'a"b\r\nc']) } : {},
})

const PLAIN = { 'content-type': 'text/plain' }
const text: Recipe = ({ draw }) => ({ bytes: draw.pick(['hello', '', 'x'.repeat(3000)]), headers: PLAIN })

const thumbnail: Recipe = ({ draw }) => ({
  query: { width: draw.pick(['32', '96', '640']), height: '96', method: draw.pick(['crop', 'scale']), timeout_ms: '0' },
})

const restored: Recipe = ({ draw }) => ({
  // Mostly without effect on the room, since the fuzzer needs its memberships.
  body: draw.happens(0.5) ? {} : { reason: 'because' },
})

/** Recipes for rooms, reading, syncs and media. */
export const ROOM_RECIPES: Record<string, Recipe> = {
  [`POST ${v3}/createRoom`]: ({ draw }) => ({
    body: {
      preset: draw.weighted({ public_chat: 6, private_chat: 1, trusted_private_chat: 1 }),
      room_version: draw.pick([...ROOM_VERSIONS.keys()]),
      ...(draw.happens(0.5) && { name: 'Tea', topic: 'with milk' }),
      ...(draw.happens(0.3) && { invite: [referTo('user')] }),
      ...(draw.happens(0.2) && { initial_state: [drawState(draw), drawState(draw)] }),
      ...(draw.happens(0.2) && { initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }] }),
      ...(draw.happens(0.2) && { room_alias_name: referTo('new name') }),
      ...(draw.happens(0.2) && { creation_content: { type: 'm.space' } }),
      ...(draw.happens(0.3) && { visibility: 'public' }),
      ...(draw.happens(0.2) && { is_direct: true }),
    },
  }),
  [`PUT ${v3}/rooms/{roomId}/send/{eventType}/{txnId}`]: sending,
  [`PUT ${unstable}/org.matrix.msc4140/rooms/{roomId}/delayed_event/{eventType}/{txnId}`]: (making) => {
    const { type, content } = making.draw.happens(0.7) ? drawMessage(making.draw) : drawState(making.draw)
    return { params: { eventType: type }, body: { content, delay_ms: making.draw.pick([1, 50, 500, 60_000]) } }
  },
  [`PUT ${v3}/rooms/{roomId}/state/{eventType}/{stateKey}`]: ({ draw }) => {
    const { type, state_key = '', content } = drawState(draw)
    return { params: { eventType: type, stateKey: state_key }, body: content }
  },
  [`GET ${v3}/rooms/{roomId}/state/{eventType}/{stateKey}`]: ({ draw, actor }) => {
    const [eventType, stateKey] = draw.pick([
      ['m.room.create', ''],
      ['m.room.member', actor.userId],
      ['m.room.power_levels', ''],
      ['m.room.name', ''],
    ])
    return { params: { eventType, stateKey }, query: draw.happens(0.3) ? { format: 'event' } : {} }
  },
  [`PUT ${v3}/rooms/{roomId}/typing/{userId}`]: ({ draw }) => ({
    body: { typing: draw.happens(0.7), timeout: draw.pick([1, 1000, 30_000]) },
  }),
  [`POST ${v3}/rooms/{roomId}/receipt/{receiptType}/{eventId}`]: ({ draw }) => ({
    params: { receiptType: draw.pick(['m.read', 'm.read.private', 'm.fully_read']) },
    body: draw.happens(0.3) ? { thread_id: draw.pick(['main', referTo('event')]) } : {},
  }),
  [`POST ${v3}/rooms/{roomId}/invite`]: () => ({ body: { user_id: referTo('user') } }),
  [`POST ${v3}/rooms/{roomId}/join`]: restored,
  [`POST ${v3}/join/{roomIdOrAlias}`]: ({ draw }) => ({
    params: { roomIdOrAlias: referTo(draw.pick(['room', 'room', 'alias'])) },
    body: {},
    query: draw.happens(0.2) ? { via: referTo('server') } : {},
  }),
  [`POST ${v3}/rooms/{roomId}/leave`]: restored,
  [`POST ${v3}/rooms/{roomId}/upgrade`]: ({ draw }) => ({
    body: { new_version: draw.pick([...ROOM_VERSIONS.keys()]) },
  }),
  [`PUT ${v3}/directory/room/{roomAlias}`]: () => ({
    params: { roomAlias: referTo('alias') },
    body: { room_id: referTo('room') },
  }),
  [`GET ${v3}/rooms/{roomId}/messages`]: (making) => ({
    query: {
      dir: making.draw.pick(['b', 'f']),
      ...(making.draw.happens(0.5) && { from: referTo(making.draw.pick(['page', 'sync token'])) }),
      limit: String(1 + making.draw.below(20)),
      ...(making.draw.happens(0.2) && { filter: JSON.stringify({ types: ['m.room.*'], lazy_load_members: true }) }),
    },
  }),
  [`GET ${v1}/rooms/{roomId}/relations/{eventId}`]: pages,
  [`GET ${v1}/rooms/{roomId}/relations/{eventId}/{relType}`]: (making) => ({
    ...pages(making),
    params: { relType: making.draw.pick(['m.thread', 'm.annotation', 'm.reference', 'm.replace']) },
  }),
  [`GET ${v1}/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}`]: (making) => ({
    ...pages(making),
    params: { relType: making.draw.pick(['m.thread', 'm.annotation']), eventType: 'm.room.message' },
  }),
  [`GET ${v1}/rooms/{roomId}/threads`]: pages,
  [`GET ${v1}/rooms/{roomId}/timestamp_to_event`]: ({ draw }) => ({
    query: { ts: String(draw.pick([0, 1, 1e12, 1.7e12, 9e12])), dir: draw.pick(['b', 'f']) },
  }),
  [`GET ${v1}/rooms/{roomId}/hierarchy`]: ({ draw }) => ({ query: { limit: String(1 + draw.below(10)) } }),
  [`GET ${v3}/rooms/{roomId}/context/{eventId}`]: ({ draw }) => ({ query: { limit: String(draw.below(20)) } }),
  [`GET ${v3}/rooms/{roomId}/members`]: ({ draw }) => ({
    query: {
      ...(draw.happens(0.4) && { at: referTo('sync token') }),
      ...(draw.happens(0.4) && { membership: draw.pick(['join', 'leave', 'invite', 'ban', 'knock']) }),
    },
  }),
  [`POST ${v3}/search`]: ({ draw }) => ({
    query: draw.happens(0.3) ? { next_batch: referTo('search page') } : {},
    body: {
      search_categories: {
        room_events: {
          search_term: draw.pick(['tea', 'hello', 'the', 'a b']),
          ...(draw.happens(0.5) && { order_by: draw.pick(['recent', 'rank']) }),
          ...(draw.happens(0.3) && { filter: { limit: 5, rooms: [referTo('room')] } }),
          ...(draw.happens(0.3) && { event_context: { before_limit: 2, after_limit: 2, include_profile: true } }),
          ...(draw.happens(0.3) && { groupings: { group_by: [{ key: draw.pick(['room_id', 'sender']) }] } }),
        },
      },
    },
  }),
  [`POST ${v3}/publicRooms`]: ({ draw }) => ({
    query: {},
    body: { limit: 1 + draw.below(10), ...(draw.happens(0.4) && { filter: { generic_search_term: 'tea' } }) },
  }),
  [`GET ${v3}/publicRooms`]: ({ draw }) => ({ query: { limit: String(1 + draw.below(10)) } }),
  [`POST ${v3}/user/{userId}/filter`]: (making) => ({ body: filter(making) }),
  [`GET ${v3}/sync`]: (making) => ({ query: syncQuery(making) }),
  [`GET ${v3}/events`]: ({ draw }) => ({
    query: { timeout: '0', ...(draw.happens(0.7) && { from: referTo('sync token') }) },
  }),
  [`GET ${v3}/initialSync`]: () => ({ query: { limit: '2' } }),
  [`GET ${v3}/keys/changes`]: () => ({ query: { from: referTo('sync token'), to: referTo('sync token') } }),
  [`GET ${v3}/notifications`]: ({ draw }) => ({
    query: {
      limit: '5',
      ...(draw.happens(0.3) && { from: referTo('page') }),
      ...(draw.happens(0.3) && { only: 'highlight' }),
    },
  }),
  [`POST ${unstable}/org.matrix.simplified_msc3575/sync`]: ({ draw }) => ({
    query: { timeout: '0', ...(draw.happens(0.6) && { pos: referTo('pos') }) },
    body: drawSlidingBody(draw, 'unstable'),
  }),
  'POST /_matrix/client/v4/sync': ({ draw }) => ({ body: drawSlidingBody(draw, 'stable') }),
  [`GET ${unstable}/io.element.msc4308/thread_subscriptions`]: () => ({ query: { dir: 'b', limit: '5' } }),
  [`PUT ${unstable}/io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription`]: ({ draw }) => ({
    body: draw.happens(0.5) ? {} : { automatic: referTo('event') },
  }),
  [`GET ${unstable}/org.matrix.msc4140/delayed_events`]: () => ({ query: {} }),
  [`POST ${unstable}/org.matrix.msc4140/delayed_events/{delayId}`]: ({ draw }) => ({
    body: { action: draw.pick(['send', 'cancel', 'restart']) },
  }),
  [`POST ${rendezvous}`]: text,
  [`PUT ${rendezvous}/{sessionId}`]: (making) => ({
    ...text(making),
    headers: { ...PLAIN, 'if-match': referTo('etag') },
  }),
  [`POST ${media}/v3/upload`]: upload,
  [`PUT ${media}/v3/upload/{serverName}/{mediaId}`]: upload,
  [`GET ${v1}/media/thumbnail/{serverName}/{mediaId}`]: thumbnail,
  [`GET ${media}/v3/thumbnail/{serverName}/{mediaId}`]: thumbnail,
  ...Object.fromEntries(
    [`${v1}/media`, `${media}/v3`].flatMap((base) =>
      ['{serverName}/{mediaId}', '{serverName}/{mediaId}/{fileName}'].map((rest) => [
        `GET ${base}/download/${rest}`,
        () => ({ query: { timeout_ms: '0' } }),
      ]),
    ),
  ),
}
