import { referTo } from './references.ts'
import type { Recipe } from './request-draft.ts'

const v1 = '/_matrix/federation/v1'

const profile: Recipe = ({ draw }) => ({
  params: { queryType: 'profile' },
  query: {
    user_id: referTo('own user'),
    ...(draw.happens(0.4) && { field: draw.pick(['displayname', 'avatar_url']) }),
  },
})
const media: Recipe = () => ({ query: { timeout_ms: '0', width: '32', height: '32', method: 'crop' } })

/** Recipes for federation requests. */
export const SERVER_RECIPES: Record<string, Recipe> = {
  [`GET ${v1}/query/directory`]: () => ({ query: { room_alias: referTo('alias') } }),
  [`GET ${v1}/query/profile`]: profile,
  [`GET ${v1}/query/{queryType}`]: profile,
  [`GET ${v1}/user/devices/{userId}`]: () => ({ params: { userId: referTo('own user') } }),
  [`GET ${v1}/backfill/{roomId}`]: ({ draw }) => ({
    query: { v: [referTo('event'), referTo('event')].slice(0, 1 + draw.below(2)), limit: String(1 + draw.below(20)) },
  }),
  [`GET ${v1}/timestamp_to_event/{roomId}`]: ({ draw }) => ({
    query: { ts: String(draw.pick([0, 1, 1e12, 9e12])), dir: draw.pick(['b', 'f']) },
  }),
  [`GET ${v1}/openid/userinfo`]: () => ({ query: { access_token: referTo('openid token') } }),
  [`GET ${v1}/media/download/{mediaId}`]: media,
  [`GET ${v1}/media/thumbnail/{mediaId}`]: media,
  [`POST ${v1}/get_missing_events/{roomId}`]: ({ draw }) => ({
    body: { limit: draw.below(20), earliest_events: [referTo('event')], latest_events: [referTo('event')] },
  }),
  [`POST ${v1}/user/keys/query`]: () => ({ body: { device_keys: { [referTo('own user')]: [] } } }),
  [`POST ${v1}/user/keys/claim`]: () => ({
    body: { one_time_keys: { [referTo('own user')]: { [referTo('device')]: 'signed_curve25519' } } },
  }),
  'POST /_matrix/key/v2/query': () => ({
    body: { server_keys: { [referTo('own server')]: {}, [referTo('server')]: {} } },
  }),
  'GET /_matrix/key/v2/query/{serverName}': () => ({ params: { serverName: referTo('own server') } }),
}
