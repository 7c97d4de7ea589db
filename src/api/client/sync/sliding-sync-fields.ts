import { z } from 'zod'
import type { RequiredState } from '../../../core/rooms/room-config.ts'
import { STICKY_OF_ANSWER } from '../../../services/sync/sections/sync-sticky.ts'
import type {
  ExtensionScope,
  SlidingExtensions,
  SlidingFilter,
} from '../../../services/sync/sliding/sliding-request.ts'
import { opaqueText } from '../../http/fields.ts'

const place = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
export const windowSchema = z.tuple([place, place])
/** Larger limits are capped. */
export const timelineLimit = z
  .number()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .transform((limit) => Math.min(limit, 1000))

const names = z.array(opaqueText).max(1000)
const types = z.array(opaqueText.nullable()).max(1000)

/** The filters of both forms of sliding sync. Each form names the filter for invites differently. */
export const filterFields = {
  is_dm: z.boolean().nullish(),
  spaces: names.nullish(),
  is_encrypted: z.boolean().nullish(),
  room_types: types.nullish(),
  not_room_types: types.nullish(),
  tags: names.nullish(),
  not_tags: names.nullish(),
  room_name_like: opaqueText.nullish(),
}
const common = z.object(filterFields)

/** Converts filters into the form of the services. */
export function slidingFilter(
  filters: z.output<typeof common> | null | undefined,
  isInvite: boolean | null | undefined,
) {
  const filter: SlidingFilter = {
    isDm: filters?.is_dm ?? undefined,
    spaces: filters?.spaces ?? undefined,
    isEncrypted: filters?.is_encrypted ?? undefined,
    isInvite: isInvite ?? undefined,
    roomTypes: filters?.room_types ?? undefined,
    notRoomTypes: filters?.not_room_types ?? undefined,
    tags: filters?.tags ?? undefined,
    notTags: filters?.not_tags ?? undefined,
    name: filters?.room_name_like ?? undefined,
  }
  return filter
}

const scopeFields = z.object({
  enabled: z.boolean().nullish(),
  lists: names.nullish(),
  rooms: names.nullish(),
})
const scope = scopeFields.nullish()

/** The extension of MSC4308. */
export const THREAD_SUBSCRIPTIONS = 'io.element.msc4308.thread_subscriptions'
const MAX_THREAD_SUBSCRIPTIONS = 512

/** The extension of MSC4480, which has the number of the proposal that it was part of. */
export const STICKY_EVENTS = 'org.matrix.msc4354.sticky_events'

/** The extension of MSC4262. */
export const PROFILES = 'org.matrix.msc4262.profiles'

/** An extension whose data comes page by page. */
const pages = z
  .object({
    enabled: z.boolean().nullish(),
    limit: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).nullish(),
    since: z.string().nullish(),
  })
  .nullish()

/** The extensions that a request enables. Unknown extensions are ignored. */
export const extensionsSchema = z
  .object({
    to_device: pages,
    e2ee: z.object({ enabled: z.boolean().nullish() }).nullish(),
    account_data: scope,
    receipts: scope,
    typing: scope,
    [STICKY_EVENTS]: pages,
    [PROFILES]: scopeFields.extend({ fields: names.nullish() }).nullish(),
    [THREAD_SUBSCRIPTIONS]: z
      .object({ enabled: z.boolean().nullish(), limit: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).nullish() })
      .nullish(),
  })
  .nullish()

/** Converts extensions into the form of the services. */
export function slidingExtensions(given: z.output<typeof extensionsSchema>): SlidingExtensions {
  const { to_device, e2ee, account_data, receipts, typing, ...proposed } = given ?? {}
  const { [THREAD_SUBSCRIPTIONS]: threads, [STICKY_EVENTS]: sticky, [PROFILES]: profiles } = proposed
  return {
    ...(to_device?.enabled && {
      toDevice: { since: to_device.since || undefined, limit: to_device.limit ?? 100 },
    }),
    ...(e2ee?.enabled && { e2ee: true }),
    ...(account_data?.enabled && { accountData: scopeOf(account_data) }),
    ...(receipts?.enabled && { receipts: scopeOf(receipts) }),
    ...(typing?.enabled && { typing: scopeOf(typing) }),
    ...(sticky?.enabled && {
      sticky: { since: sticky.since || undefined, limit: Math.min(sticky.limit ?? STICKY_OF_ANSWER, STICKY_OF_ANSWER) },
    }),
    ...(profiles?.enabled && {
      profiles: { ...scopeOf(profiles), fields: profiles.fields ? [...profiles.fields].sort() : undefined },
    }),
    ...(threads?.enabled && {
      threadSubscriptions: { limit: Math.min(threads.limit ?? 100, MAX_THREAD_SUBSCRIPTIONS) },
    }),
  }
}

function scopeOf({
  lists,
  rooms,
}: {
  lists?: string[] | null | undefined
  rooms?: string[] | null | undefined
}): ExtensionScope {
  return { lists: lists ?? ['*'], rooms: rooms ?? ['*'] }
}

/** State keys have at most 255 code points, each of which may be a surrogate pair. */
const keyText = z.string().max(510)
const element = z.object({ type: keyText.optional(), state_key: keyText.optional() })
/** The `required_state` of the merged proposal. */
export const requiredStateObject = z
  .object({
    include: z.array(element).max(1000).nullish(),
    exclude: z.array(element).max(1000).nullish(),
    lazy_members: z.boolean().nullish(),
  })
  .transform(
    ({ include, exclude, lazy_members }): RequiredState => ({
      include: include ?? [],
      exclude: exclude ?? [],
      lazyMembers: lazy_members ?? false,
    }),
  )

/**
 * The `required_state` of the deployed form: pairs of type and state key, either of which may be `*`, and `$LAZY` and
 * `$ME`.
 */
export const requiredStatePairs = z.array(z.tuple([keyText, keyText])).max(1000)

/** Converts pairs into the form of the services; `$ME` becomes the user's ID. */
export function requiredStateOf(pairs: z.output<typeof requiredStatePairs>, userId: string): RequiredState {
  const isLazy = ([type, key]: readonly [string, string]) => type === 'm.room.member' && key === '$LAZY'
  const include = pairs
    .filter((pair) => !isLazy(pair))
    .map(([type, key]) => ({
      ...(type !== '*' && { type }),
      ...(key !== '*' && { state_key: key === '$ME' ? userId : key }),
    }))
  return { include, exclude: [], lazyMembers: pairs.some(isLazy) }
}
