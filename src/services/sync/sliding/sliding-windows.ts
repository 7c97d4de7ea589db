import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { RoomConfig } from '../../../core/rooms/room-config.ts'
import { combineConfigs } from '../../../core/rooms/room-config.ts'
import { type ListedRoom, type ListReader, loadListedRooms, loadListWindow } from '../../../storage/rooms/room-lists.ts'
import { listFilter } from './sliding-filters.ts'
import type { SlidingList, SlidingRequest } from './sliding-request.ts'

/** A room that a list or subscription of a request matches. */
export type MatchedRoom = {
  room: ListedRoom
  /** The lists whose windows contain it. */
  lists: string[]
  isSubscribed: boolean
  config: RoomConfig
}

/** The number of rooms in each list, and the rooms in windows and subscriptions. */
export type Windows = { counts: Map<string, number>; matched: Map<RoomId, MatchedRoom> }

/**
 * Finds the rooms of a request. `newsOnly`: leaves out rooms without changes, for a repeated request. `touched`: for
 * that, the only rooms with changes since the connection's last response; undefined: changes may have moved rooms into
 * lists.
 */
export async function findWindows(
  app: Pick<App, 'config' | 'database' | 'stream' | 'sync'>,
  reader: ListReader,
  request: Wanted,
  looking: Looking,
): Promise<Windows> {
  let hidden = await app.sync.invites.hiddenRooms(reader.userId)
  for (;;) {
    const windows = await loadWindows(app, reader, request, { ...looking, hidden })
    const outside = [...windows.matched.values()].flatMap(({ room: { membership, memberNid } }) =>
      membership === 'join' || membership === 'knock' ? [] : (memberNid ?? []),
    )
    // The database may have newer invites than the cached ones.
    const late = await app.sync.invites.unwantedByNid(reader.userId, outside)
    if (late.size === 0) return windows
    hidden = new Set([...hidden, ...late])
  }
}

type Wanted = Pick<SlidingRequest, 'lists' | 'subscriptions'>
type Looking = { direct: ReadonlySet<RoomId>; newsOnly: boolean; touched: readonly RoomId[] | undefined }

async function loadWindows(
  app: Pick<App, 'config' | 'database'>,
  reader: ListReader,
  request: Wanted,
  { direct, newsOnly, touched, hidden }: Looking & { hidden: ReadonlySet<RoomId> },
): Promise<Windows> {
  const lists = [...request.lists]
  const subscriptions = [...request.subscriptions.keys()].filter((roomId) => !hidden.has(roomId))
  const [subscribed, ...windows] = await Promise.all([
    loadListedRooms(app.database, reader, subscriptions),
    ...lists.map(async ([, { filter, windows }]) =>
      loadListWindow(app.database, reader, {
        filter: await listFilter(app, reader.userId, { filter, direct, hidden }),
        windows,
        newsOnly,
        touched: touched && newsOnly && beginsWith(touched.length, { filter, windows }) ? touched : undefined,
      }),
    ),
  ])
  const matches = new Map<RoomId, { room: ListedRoom; lists: string[]; configs: RoomConfig[] }>()
  const match = (room: ListedRoom, list: string | undefined, config: RoomConfig) => {
    const known = matches.get(room.roomId) ?? { room, lists: [], configs: [] }
    matches.set(room.roomId, known)
    if (list !== undefined) known.lists.push(list)
    known.configs.push(config)
  }
  for (const [place, [name, { config }]] of lists.entries())
    for (const room of windows[place]!.rooms) match(room, name, config)
  for (const room of subscribed) match(room, undefined, request.subscriptions.get(room.roomId)!)
  const combine = createCombiner()
  return {
    counts: new Map(lists.map(([name], place) => [name, windows[place]!.count])),
    matched: new Map(
      [...matches].map(([roomId, { room, lists: names, configs }]) => [
        roomId,
        {
          room,
          lists: names,
          isSubscribed: request.subscriptions.has(roomId),
          config: combine(configs),
        },
      ]),
    ),
  }
}

/** As `combineConfigs`: rooms in the same lists share the object, so that derived data is computed once. */
function createCombiner(): (configs: readonly RoomConfig[]) => RoomConfig {
  const ids = new Map<RoomConfig, number>()
  const combined = new Map<string, RoomConfig>()
  const idOf = (config: RoomConfig) => {
    const id = ids.get(config) ?? ids.size
    ids.set(config, id)
    return id
  }
  return (configs) => {
    const key = configs.map(idOf).join()
    const known = combined.get(key) ?? combineConfigs(configs)
    combined.set(key, known)
    return known
  }
}

/**
 * Returns whether the `count` rooms with the newest events, as far as they are in the list, are in its window, and no
 * other room's position depends on them.
 */
function beginsWith(count: number, { filter, windows }: Pick<SlidingList, 'filter' | 'windows'>): boolean {
  const [window, ...others] = windows
  const followsState = filter.isEncrypted !== undefined || filter.name !== undefined || filter.spaces !== undefined
  return !followsState && window !== undefined && others.length === 0 && window[0] === 0 && count <= window[1] + 1
}
