import { z } from 'zod'
import type { RoomConfig } from '../../../core/rooms/room-config.ts'
import {
  type SlidingList,
  type SlidingRequest,
  slidingRequest,
} from '../../../services/sync/sliding/sliding-request.ts'
import { slidingSync } from '../../../services/sync/sliding/sliding-sync.ts'
import { opaqueText, queryInteger, roomId } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import {
  extensionsSchema,
  filterFields,
  requiredStateObject,
  requiredStateOf,
  requiredStatePairs,
  slidingExtensions,
  slidingFilter,
  timelineLimit,
  windowSchema,
} from './sliding-sync-fields.ts'
import { stableReply, unstableReply } from './sliding-sync-reply.ts'
import { presenceSetBy } from './sync-presence.ts'

const PRESENCES = ['offline', 'online', 'unavailable'] as const
const invalid = { params: { errcode: 'M_INVALID_PARAM' } }
const presence = z
  .custom<(typeof PRESENCES)[number]>((value) => PRESENCES.some((known) => known === value), {
    error: `must be one of ${PRESENCES.join(', ')}`,
    ...invalid,
  })
  .nullish()
/** The maximum number of lists, and of subscriptions. */
const MOST = 100
const ALL_ROOMS = [0, Number.MAX_SAFE_INTEGER] as const

function atMost<Value extends z.ZodType>(key: z.ZodType<string>, value: Value) {
  return z
    .record(key as z.ZodString, value)
    .refine((entries) => Object.keys(entries).length <= MOST, {
      error: `must not have more than ${MOST} entries`,
      ...invalid,
    })
    .nullish()
}

const unstableConfig = { required_state: requiredStatePairs.nullish(), timeline_limit: timelineLimit }
const unstableBody = z.object({
  conn_id: opaqueText.nullish(),
  txn_id: z.string().nullish(),
  lists: atMost(
    opaqueText,
    z.object({
      ...unstableConfig,
      ranges: z.array(windowSchema).max(100).nullish(),
      filters: z.object({ ...filterFields, is_invite: z.boolean().nullish() }).nullish(),
    }),
  ),
  room_subscriptions: atMost(roomId, z.object(unstableConfig)),
  extensions: extensionsSchema,
})

/** The deployed form of MSC4186. */
export const postUnstableSlidingSync = route({
  method: 'POST',
  path: '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync',
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  query: z.object({
    pos: z.string().optional(),
    timeout: queryInteger.default(0),
    set_presence: z.enum(PRESENCES).optional(),
  }),
  body: unstableBody,
  async handle({ query, body, session, signal }, app) {
    const { streamPosition } = session
    const request = { ...unstableRequest(body, { session, signal, ...query }), streamPosition }
    return { ...(body.txn_id && { txn_id: body.txn_id }), ...unstableReply(await slidingSync(app, request)) }
  },
})

function unstableRequest(
  body: z.output<typeof unstableBody>,
  call: {
    session: Session
    signal: AbortSignal
    pos?: string | undefined
    timeout: number
    set_presence?: SlidingRequest['presence']
  },
): SlidingRequest {
  const { session, signal } = call
  const configOf = (given: {
    required_state?: [string, string][] | null | undefined
    timeline_limit: number
  }): RoomConfig => ({
    timelineLimit: given.timeline_limit,
    requiredState: [requiredStateOf(given.required_state ?? [], session.userId)],
  })
  const lists = Object.entries(body.lists ?? {}).map(
    ([name, { ranges, filters, ...config }]): [string, SlidingList] => [
      name,
      { windows: ranges ?? [ALL_ROOMS], filter: slidingFilter(filters, filters?.is_invite), config: configOf(config) },
    ],
  )
  return slidingRequest({
    userId: session.userId,
    deviceId: session.deviceId,
    connId: body.conn_id ?? '',
    pos: call.pos || undefined,
    timeout: call.timeout,
    lists: new Map(lists),
    subscriptions: subscriptionsOf(body.room_subscriptions, configOf),
    extensions: slidingExtensions(body.extensions),
    presence: presenceSetBy(session, call.set_presence),
    signal,
  })
}

function subscriptionsOf<Given>(
  given: Record<string, Given> | null | undefined,
  configOf: (given: Given) => RoomConfig,
) {
  return new Map(
    Object.entries(given ?? {}).map(([id, config]) => [id, configOf(config)]),
  ) as SlidingRequest['subscriptions'] & Map<string, RoomConfig>
}

const stableConfig = { required_state: requiredStateObject, timeline_limit: timelineLimit }
/** The body of the merged proposal's form. */
export const stableBody = z.object({
  conn_id: opaqueText.nullish(),
  pos: z.string().nullish(),
  timeout: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).nullish(),
  set_presence: presence,
  lists: atMost(
    z.string().regex(/^[A-Za-z0-9._~-]{1,255}$/, 'is not an opaque identifier'),
    z.object({
      ...stableConfig,
      range: windowSchema.nullish(),
      filters: z.object({ ...filterFields, is_invited: z.boolean().nullish() }).nullish(),
    }),
  ),
  room_subscriptions: atMost(roomId, z.object(stableConfig)),
  extensions: extensionsSchema,
})

/**
 * The merged form of MSC4186:
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md#api
 */
export const postSlidingSync = route({
  method: 'POST',
  path: '/_matrix/client/v4/sync',
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  body: stableBody,
  async handle({ body, session, signal }, app) {
    const { streamPosition } = session
    return stableReply(await slidingSync(app, { ...stableRequest(body, { session, signal }), streamPosition }))
  },
})

/** Converts a body of the merged form into the request of the services. */
export function stableRequest(
  body: z.output<typeof stableBody>,
  { session, signal }: { session: Pick<Session, 'userId' | 'deviceId' | 'isShadowBanned'>; signal: AbortSignal },
): SlidingRequest {
  const configOf = (given: z.output<z.ZodObject<typeof stableConfig>>): RoomConfig => ({
    timelineLimit: given.timeline_limit,
    requiredState: [given.required_state],
  })
  const lists = Object.entries(body.lists ?? {}).map(([name, { range, filters, ...config }]): [string, SlidingList] => [
    name,
    { windows: [range ?? ALL_ROOMS], filter: slidingFilter(filters, filters?.is_invited), config: configOf(config) },
  ])
  return slidingRequest({
    userId: session.userId,
    deviceId: session.deviceId,
    connId: body.conn_id ?? '',
    pos: body.pos || undefined,
    timeout: body.timeout ?? 0,
    lists: new Map(lists),
    subscriptions: subscriptionsOf(body.room_subscriptions, configOf),
    extensions: slidingExtensions(body.extensions),
    presence: presenceSetBy(session, body.set_presence),
    signal,
  })
}
