import type { RoomId } from '../../core/ids.ts'
import { finishRooms } from './finish-rooms.ts'
import { importEvents, newProgress, type RoomProgress } from './import-events.ts'
import type { ImportBatch, ImportContext, ImportStep } from './import-step.ts'
import { createImportedStates, type ImportedStates } from './imported-states.ts'
import { type ImportPlan, loadRoomSizes, nextRooms, planImport } from './room-plan.ts'

/** `after`: the last room that is imported. `offset`: how many planned events of the rooms after it are. */
type Bookmark = { after: string; offset: number; progress: [RoomId, RoomProgress][] }

/** `leftOut`: the number of events of rooms that Hearth does not support. */
type Group = { after: string; rooms: RoomId[]; plan: ImportPlan; states: ImportedStates; leftOut: number }

const PAGE = 2000

/** Makes the step that imports rooms with their events, states and members. */
export function createRoomStep(): ImportStep {
  let sizes: Awaited<ReturnType<typeof loadRoomSizes>> | undefined
  let group: Group | undefined

  async function groupAfter(context: ImportContext, after: string): Promise<Group | undefined> {
    if (group?.after === after) return group
    sizes ??= await loadRoomSizes(context)
    const rooms = nextRooms(sizes, after)
    if (rooms.length === 0) return undefined
    const plan = await planImport(context, rooms)
    const unsupported = new Set(rooms.filter((roomId) => !plan.rooms.has(roomId)))
    const leftOut = sizes.reduce((sum, { room_id, count }) => sum + (unsupported.has(room_id) ? count : 0), 0)
    group = { after, rooms, plan, states: createImportedStates(context, plan), leftOut }
    return group
  }

  return {
    name: 'events',
    async next(context, bookmark) {
      const { after, offset, progress } = (bookmark ?? { after: '', offset: 0, progress: [] }) as Bookmark
      const current = await groupAfter(context, after)
      if (!current) return undefined
      const rooms = new Map(progress.length > 0 ? structuredClone(progress) : beginnings(current.plan))
      const planned = current.plan.events.slice(offset, offset + PAGE)
      return planned.length > 0 ? nextPage(context, current, { offset, rooms }) : lastPage(context, current, rooms)
    },
    count: async (context) => (await loadRoomSizes(context)).reduce((sum, { count }) => sum + count, 0),
  }
}

function beginnings({ rooms }: ImportPlan): [RoomId, RoomProgress][] {
  return [...rooms].map(([roomId, { history }]) => [roomId, newProgress(history)])
}

async function nextPage(
  context: ImportContext,
  { after, plan, states }: Group,
  { offset, rooms }: { offset: number; rooms: Map<RoomId, RoomProgress> },
): Promise<ImportBatch> {
  const planned = plan.events.slice(offset, offset + PAGE)
  const write = await importEvents(context, { plan, states, progress: rooms }, planned)
  return { bookmark: { after, offset: offset + planned.length, progress: [...rooms] }, read: planned.length, write }
}

/** Once all events of the rooms are stored, their heads, members and lists follow. */
async function lastPage(
  context: ImportContext,
  { rooms: all, plan, states, leftOut }: Group,
  rooms: ReadonlyMap<RoomId, RoomProgress>,
): Promise<ImportBatch> {
  const write = await finishRooms(context, { plan, states, progress: rooms })
  return {
    bookmark: { after: all.at(-1)!, offset: 0, progress: [] },
    read: leftOut,
    async write(tx) {
      await write(tx)
      return 0
    },
  }
}
