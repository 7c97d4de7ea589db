import { TooLargeError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { RoomConfig } from '../../../core/rooms/room-config.ts'
import { unknownPos } from '../../../core/sliding-pos.ts'
import { KNOWN, type KnownRoom } from '../../../storage/schema/sliding-sync.ts'
import type { ExtensionScope, SlidingExtensions } from './sliding-request.ts'
import type { PlannedSpan } from './sliding-room-content.ts'
import type { MatchedRoom } from './sliding-windows.ts'

/** A matching room, and the plan for it. */
export type SlidingRoomPlan = MatchedRoom & {
  known: KnownRoom | undefined
  /** The client's configuration of the room after the response. */
  config: RoomConfig
  configPlace: number
  flags: number
  isDirect: boolean
  /** Whether there may be changes to send. */
  mayHaveNews: boolean
  span: PlannedSpan
}

/** The room configurations of a connection by index; rooms refer to the index. */
export type ConfigPlaces = { readonly configs: RoomConfig[]; placeOf(config: RoomConfig): number }

/** Limits of a connection: a client that exceeds them has to begin a new one. */
const MAX_CONFIGS = 200
const MAX_CONFIGS_SIZE = 1024 * 1024

/**
 * Parses a connection's stored configurations; undefined: a new connection. Above the limits, `placeOf` throws
 * M_UNKNOWN_POS, so that the client begins a new connection, or M_TOO_LARGE for a new one.
 */
export function configPlaces(stored: string | undefined): ConfigPlaces {
  const configs = JSON.parse(stored ?? '[]') as RoomConfig[]
  const places = new Map(configs.map((config, place) => [JSON.stringify(config), place]))
  // Most rooms share their configuration: it is serialised once.
  const found = new Map<RoomConfig, number>()
  let size = stored?.length ?? 0
  const placeOf = (config: RoomConfig) => {
    const key = JSON.stringify(config)
    const known = places.get(key)
    if (known !== undefined) return known
    size += key.length
    if (configs.length >= MAX_CONFIGS || size > MAX_CONFIGS_SIZE) throw stored === undefined ? tooMany() : unknownPos()
    places.set(key, configs.length)
    return configs.push(config) - 1
  }
  return {
    configs,
    placeOf(config) {
      const place = found.get(config) ?? placeOf(config)
      found.set(config, place)
      return place
    },
  }
}

function tooMany(): TooLargeError {
  const most = `${MAX_CONFIGS} different ones, and ${MAX_CONFIGS_SIZE} characters`
  return new TooLargeError(
    `lists and room_subscriptions: their required_state makes up more than ${most}; ask for less`,
  )
}

/** Plans the response for each matching room. */
export function planRooms(
  matched: ReadonlyMap<RoomId, MatchedRoom>,
  { places, direct, extensions }: { places: ConfigPlaces; direct: ReadonlySet<RoomId>; extensions: SlidingExtensions },
): SlidingRoomPlan[] {
  return [...matched.values()].map((match) => {
    const { room } = match
    const known = room.known
    const configPlace = places.placeOf(match.config)
    // The same object as `oldConfig` if nothing else is requested.
    const config = places.configs[configPlace]!
    const oldConfig = known && places.configs[known.config]
    const isDirect = direct.has(room.roomId)
    const isExpanded =
      known?.membership === 'join' &&
      room.membership === 'join' &&
      oldConfig !== undefined &&
      config.timelineLimit > oldConfig.timelineLimit &&
      known.events < config.timelineLimit
    const wantsOther =
      config !== oldConfig && JSON.stringify(oldConfig?.requiredState) !== JSON.stringify(config.requiredState)
    return {
      ...match,
      config,
      known,
      configPlace,
      flags: (isDirect ? KNOWN.dm : 0) | (room.membership === 'join' ? extensionFlags(match, extensions) : 0),
      isDirect,
      mayHaveNews: isContentNew(match) || isExpanded || wantsOther || isDirect !== wasDirect(known),
      span: { room, config, known, oldConfig, isExpanded },
    }
  })
}

/** Returns whether the client knows a room as a direct chat. */
export function wasDirect(known: KnownRoom | undefined): boolean {
  return ((known?.flags ?? 0) & KNOWN.dm) !== 0
}

function isContentNew({ room }: MatchedRoom): boolean {
  const { known } = room
  if (known?.membership !== room.membership) return true
  if (room.membership !== 'join') return known.event_order !== (room.memberNid ?? 0)
  return known.state_root !== room.stateRoot || known.event_order !== room.lastOrder
}

function extensionFlags(match: MatchedRoom, extensions: SlidingExtensions): number {
  const { accountData, receipts, typing, sticky, profiles } = extensions
  return (
    (isInScope(match, accountData) ? KNOWN.accountData : 0) |
    (isInScope(match, receipts) ? KNOWN.receipts : 0) |
    (isInScope(match, typing) ? KNOWN.typing : 0) |
    (sticky ? KNOWN.sticky : 0) |
    (isInScope(match, profiles) ? KNOWN.profiles : 0)
  )
}

function isInScope({ room, lists, isSubscribed }: MatchedRoom, scope: ExtensionScope | undefined): boolean {
  if (!scope) return false
  return (
    (isSubscribed && (scope.rooms.includes('*') || scope.rooms.includes(room.roomId))) ||
    lists.some((list) => scope.lists.includes('*') || scope.lists.includes(list))
  )
}
