import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { acknowledgedIn, parseSyncToken, syncToken } from '../../../core/sync-token.ts'
import { KNOWN } from '../../../storage/schema/sliding-sync.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type DeviceLists, deviceListChanges } from '../sections/device-lists.ts'
import type { KeyCounts } from '../sections/key-counts.ts'
import {
  accountDataOfRooms,
  changedAccountData,
  globalAccountData,
  type SyncedAccountData,
} from '../sections/sync-account-data.ts'
import { allEphemeral, changedEphemeral, type Ephemeral, receiptOwner } from '../sections/sync-ephemeral.ts'
import { allProfiles, type ProfilesNews, profileChanges, type WholeProfiles } from '../sections/sync-profiles.ts'
import type { SyncViewer } from '../sections/sync-room.ts'
import { newSticky, serveSticky, stickyOfRooms } from '../sections/sync-sticky.ts'
import { type ThreadSubscriptionChanges, threadSubscriptionChanges } from '../sections/thread-subscription-changes.ts'
import { syncToDevice, type ToDeviceSection } from '../sections/to-device.ts'
import type { SlidingExtensions } from './sliding-request.ts'

/** The extensions' results; disabled ones are undefined. */
export type ExtensionResults = {
  toDevice?: { next_batch: string; events: ToDeviceSection['events'] }
  e2ee?: KeyCounts & { device_lists?: DeviceLists }
  accountData?: SyncedAccountData
  /** One event per room. */
  receipts?: Map<RoomId, object>
  typing?: Map<RoomId, object>
  sticky?: { next_batch: string; hasMore: boolean; rooms: ReadonlyMap<RoomId, object[]> }
  /** Absent: no change. */
  threads?: ThreadSubscriptionChanges
  /** Absent: no change. */
  profiles?: ProfilesNews
}

/** The input of the extensions. `fresh`: rooms to send completely; `live`: rooms to send changes of. */
export type ExtensionNews = {
  extensions: SlidingExtensions
  /** undefined: a new connection. */
  from: number | undefined
  to: number
  rows: readonly StreamRow[]
  joined: ReadonlySet<RoomId>
  fresh(flag: number): ReadonlySet<RoomId>
  live(flag: number): ReadonlySet<RoomId>
  /**
   * The rooms that are new in the response, with the IDs of their events: at older events, only the user's own receipts
   * are sent.
   */
  newRooms: ReadonlyMap<RoomId, ReadonlySet<string>>
  /** Whether the client is interested in more rooms than those it has subscribed to. */
  hasLists: boolean
  /** The rooms of the response that have sticky events. */
  stickyRooms: ReadonlySet<RoomId>
  /** Only called for clients with the extension, as it reads all events of the response. */
  profilesOf(): WholeProfiles
  /** Whether the timelines of the response have an event. */
  isSent(event: StoredEvent): boolean
}

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'sync'>

/** Computes the extensions' results. */
export async function extensionResults(
  app: Reading,
  viewer: SyncViewer,
  news: ExtensionNews,
): Promise<ExtensionResults> {
  const [toDevice, e2ee, accountData, ephemeral, sticky, threads, profiles] = await Promise.all([
    toDeviceResult(app, viewer, news),
    e2eeResult(app, viewer, news),
    accountDataResult(app, viewer, news),
    ephemeralResults(app, viewer, news),
    stickyResult(app, viewer, news),
    threadSubscriptionsResult(app, viewer, news),
    profilesResult(app, viewer, news),
  ])
  return {
    ...(toDevice && { toDevice }),
    ...(e2ee && { e2ee }),
    ...(accountData && { accountData }),
    ...ephemeral,
    ...(sticky && { sticky }),
    ...(threads && { threads }),
    ...(profiles && { profiles }),
  }
}

/** Returns whether a waiting client should get the results now. */
export function hasExtensionNews({
  toDevice,
  e2ee,
  accountData,
  receipts,
  typing,
  sticky,
  threads,
  profiles,
}: ExtensionResults): boolean {
  const lists = e2ee?.device_lists
  return (
    threads !== undefined ||
    profiles !== undefined ||
    (toDevice?.events.length ?? 0) > 0 ||
    (lists?.changed.length ?? 0) + (lists?.left.length ?? 0) > 0 ||
    (accountData?.global.length ?? 0) + (accountData?.rooms.size ?? 0) > 0 ||
    (receipts?.size ?? 0) + (typing?.size ?? 0) + (sticky?.rooms.size ?? 0) > 0 ||
    sticky?.hasMore === true
  )
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3885 */
async function toDeviceResult(app: Reading, viewer: SyncViewer, { extensions, from, to, rows }: ExtensionNews) {
  const { toDevice } = extensions
  if (!toDevice) return undefined
  const { since } = toDevice
  const acknowledged = since === undefined ? 0 : (acknowledgedIn(since) ?? parseSyncToken(since))
  const span = { acknowledged, from: from ?? acknowledged + 1, to, rows, limit: toDevice.limit }
  const { events, upTo } = acknowledged >= to ? { events: [], upTo: undefined } : await syncToDevice(app, viewer, span)
  return { next_batch: syncToken(Math.max(to, acknowledged), { toDevice: upTo }), events }
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3884 */
async function e2eeResult(app: Reading, viewer: SyncViewer, { extensions, from, to, rows, joined }: ExtensionNews) {
  if (!extensions.e2ee) return undefined
  const counts = await app.sync.keyCounts(viewer)
  if (from === undefined) return counts
  return { ...counts, device_lists: await deviceListChanges(app, viewer.userId, { rows, joined, to }) }
}

/**
 * Returns all sticky events of rooms that are new to the client, and new ones of all rooms that it is interested in,
 * also those outside its windows. https://github.com/matrix-org/matrix-spec-proposals/pull/4480
 */
async function stickyResult(
  app: Reading,
  viewer: SyncViewer,
  news: ExtensionNews,
): Promise<ExtensionResults['sticky']> {
  const { extensions, from, to, rows, fresh, live } = news
  if (!extensions.sticky) return undefined
  const after = stickySince(extensions.sticky, from ?? 0)
  const whole = new Set([...fresh(KNOWN.sticky)].filter((roomId) => news.stickyRooms.has(roomId)))
  const joined = await joinedRooms(app, viewer, news)
  const followed = news.hasLists ? joined : live(KNOWN.sticky)
  const rooms = whole.size === 0 ? followed : new Set([...followed].filter((roomId) => !whole.has(roomId)))
  const span = { after, from: from ?? Number.MAX_SAFE_INTEGER, to, limit: extensions.sticky.limit }
  const [ofNew, page] = await Promise.all([
    stickyOfRooms(app, viewer, { roomIds: [...whole], to }),
    newSticky(app, viewer, { rows, rooms, ...span }),
  ])
  const events = [...ofNew, ...page.events]
  return {
    next_batch: syncToken(page.upTo ?? to),
    hasMore: page.upTo !== undefined,
    rooms: await serveSticky(app, viewer, { events, isSent: news.isSent }),
  }
}

/** Returns the user's joined rooms. A first response comes without news, so that `joined` is empty then. */
async function joinedRooms(
  app: Reading,
  { userId }: SyncViewer,
  { from, joined }: Pick<ExtensionNews, 'from' | 'joined'>,
): Promise<ReadonlySet<RoomId>> {
  return from === undefined ? (await app.sync.connectedUsers.get(userId)).joined : joined
}

/** Returns the position up to which a client has sticky events: by default, that of its connection. */
export function stickySince({ since }: NonNullable<SlidingExtensions['sticky']>, from: number): number {
  return since === undefined ? from : parseSyncToken(since)
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4308 */
async function threadSubscriptionsResult(
  app: Reading,
  { userId }: SyncViewer,
  { extensions: { threadSubscriptions }, from, to, rows }: ExtensionNews,
): Promise<ThreadSubscriptionChanges | undefined> {
  const isChanged = from === undefined || rows.some((row) => row.kind === 'thread_subscription')
  if (!threadSubscriptions || !isChanged) return undefined
  const result = await threadSubscriptionChanges(app, userId, { from: from ?? 0, to, ...threadSubscriptions })
  return Object.keys(result.changes).length > 0 ? result : undefined
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4262 */
async function profilesResult(
  app: Reading,
  viewer: SyncViewer,
  news: ExtensionNews,
): Promise<ProfilesNews | undefined> {
  const { extensions, from, to, rows, profilesOf } = news
  if (!extensions.profiles) return undefined
  const fields = extensions.profiles.fields && new Set(extensions.profiles.fields)
  const whole = profilesOf()
  const joined = await joinedRooms(app, viewer, news)
  const profiles =
    from === undefined
      ? await allProfiles(app, viewer, { fields, joined: [...joined], whole })
      : await profileChanges(app, viewer, { fields, whole, isLazy: true, rows, joined, to })
  return profiles.size > 0 ? profiles : undefined
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3959 */
async function accountDataResult(
  app: Reading,
  viewer: SyncViewer,
  { extensions, from, rows, fresh, live }: ExtensionNews,
): Promise<SyncedAccountData | undefined> {
  if (!extensions.accountData) return undefined
  const newRooms = fresh(KNOWN.accountData)
  if (from === undefined) {
    const [global, rooms] = await Promise.all([
      globalAccountData(app, viewer),
      accountDataOfRooms(app, viewer, [...newRooms]),
    ])
    return { global, rooms }
  }
  const liveRooms = live(KNOWN.accountData)
  const wanted = rows.filter(({ room_id }) => room_id === null || liveRooms.has(room_id))
  return changedAccountData(app, viewer, wanted, newRooms)
}

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3960 and
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3961
 */
async function ephemeralResults(
  app: Reading,
  viewer: SyncViewer,
  { extensions, to, rows, fresh, live, newRooms }: ExtensionNews,
): Promise<Pick<ExtensionResults, 'receipts' | 'typing'>> {
  if (!extensions.receipts && !extensions.typing) return {}
  const flagOf = { 'm.typing': KNOWN.typing, 'm.receipt': KNOWN.receipts }
  const seenBy = (rooms: (flag: number) => ReadonlySet<RoomId>): SyncViewer => ({
    ...viewer,
    filter: {
      ...viewer.filter,
      takesEphemeral: ({ type }, roomId) => rooms(flagOf[type as keyof typeof flagOf]).has(roomId as RoomId),
    },
  })
  const both = (rooms: (flag: number) => ReadonlySet<RoomId>) => [...rooms(KNOWN.typing), ...rooms(KNOWN.receipts)]
  const [initial, changed] = await Promise.all([
    allEphemeral(app, seenBy(fresh), { roomIds: [...new Set(both(fresh))], to }),
    changedEphemeral(app, seenBy(live), { rows, joined: new Set(both(live)) }),
  ])
  return {
    ...(extensions.receipts && { receipts: receiptEvents(viewer, { initial, changed, newRooms }) }),
    ...(extensions.typing && { typing: new Map([...only(initial, 'm.typing'), ...only(changed, 'm.typing')]) }),
  }
}

/** Returns the first event of a type of each room. */
function only(rooms: Ephemeral, type: string): [RoomId, object][] {
  return [...rooms].flatMap(([roomId, events]): [RoomId, object][] => {
    const event = events.find((one) => one.type === type)
    return event ? [[roomId, event]] : []
  })
}

function receiptEvents(
  { userId }: SyncViewer,
  { initial, changed, newRooms }: { initial: Ephemeral; changed: Ephemeral } & Pick<ExtensionNews, 'newRooms'>,
): Map<RoomId, object> {
  const contentsIn = (events: Ephemeral, roomId: RoomId) =>
    (events.get(roomId) ?? []).filter(({ type }) => type === 'm.receipt').map(({ content }) => content as JsonObject)
  const events = new Map<RoomId, object>()
  for (const roomId of new Set([...initial.keys(), ...changed.keys()])) {
    const sentEvents = newRooms.get(roomId)
    const all = contentsIn(initial, roomId).map((content) =>
      sentEvents ? relevant(content, userId, sentEvents) : content,
    )
    const content = merged([...all, ...contentsIn(changed, roomId)])
    if (Object.keys(content).length > 0) events.set(roomId, { type: 'm.receipt', content })
  }
  return events
}

/** Filters the receipts of a new room to those at events in the response, and the user's own. */
function relevant(content: JsonObject, userId: UserId, sentEvents: ReadonlySet<string>): JsonObject {
  const kept = Object.entries(content as Record<string, Record<string, JsonObject>>).flatMap(([eventId, types]) => {
    if (sentEvents.has(eventId)) return [[eventId, types] as const]
    const own = Object.entries(types).flatMap(([type, users]) =>
      Object.hasOwn(users, userId) ? [[type, { [userId]: users[userId]! }] as const] : [],
    )
    return own.length > 0 ? [[eventId, Object.fromEntries(own)] as const] : []
  })
  return Object.fromEntries(kept) as JsonObject
}

/**
 * Merges several contents, since there is one event per room. If a user has receipts of several threads at one event,
 * the one of the main timeline or of no thread is kept.
 */
function merged(contents: readonly JsonObject[]): JsonObject {
  const result: Record<string, Record<string, Record<string, JsonObject>>> = Object.create(null)
  for (const content of contents as (typeof result)[])
    for (const [eventId, types] of Object.entries(content))
      for (const [type, users] of Object.entries(types)) {
        const ofEvent = result[eventId] ?? {}
        const known = ofEvent[type] ?? {}
        for (const [user, receipt] of Object.entries(users)) {
          if (!known[user] || receipt.thread_id === undefined || receipt.thread_id === 'main') known[user] = receipt
        }
        result[eventId] = { ...ofEvent, [type]: known }
      }
  return result as JsonObject
}

const OF_ROOMS: readonly string[] = ['typing', 'account_data', 'sticky']

/** Returns the rooms with rows of typing, receipts, account data or sticky events. */
export function roomsWithEphemeralNews(rows: readonly StreamRow[]): Set<RoomId> {
  const rooms = new Set<RoomId>()
  for (const row of rows) {
    if (row.kind === 'receipt') for (const { roomId } of receiptOwner(row)) rooms.add(roomId)
    if (OF_ROOMS.includes(row.kind) && row.room_id !== null) rooms.add(row.room_id)
  }
  return rooms
}
