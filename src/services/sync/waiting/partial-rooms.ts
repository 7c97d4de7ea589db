import type { RoomId } from '../../../core/ids.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadPartialRooms } from '../../../storage/rooms/membership/partial-rooms.ts'

/** The rooms with partial state, updated by the stream. */
export type PartialRooms = {
  /** As of the stream position, once `ready` has resolved. */
  readonly now: ReadonlySet<RoomId>
  ready(): Promise<void>
}

/** Tracks rooms with partial state; existing ones are loaded on first use. */
export function followPartialRooms(app: { database: Db; stream: StreamTail }): PartialRooms {
  const now = new Set<RoomId>()
  /** Stream positions at which rooms were resynced during the load, whose result may be older. */
  const completed = new Map<RoomId, number>()
  let loading: Promise<void> | undefined
  let isLoading = false

  app.stream.subscribe((rows) => {
    for (const row of rows) {
      const { kind, stream_position } = row
      const room_id = kind === 'room_removed' ? (row.detail as RoomId) : row.room_id
      if (room_id === null) continue
      if (kind === 'room_partial') now.add(room_id)
      if (kind !== 'room_complete' && kind !== 'room_removed') continue
      now.delete(room_id)
      if (isLoading) completed.set(room_id, stream_position)
    }
  })

  async function load(): Promise<void> {
    isLoading = true
    const { position, roomIds } = await loadPartialRooms(app.database)
    while (app.stream.position() < position) await app.stream.refresh()
    for (const roomId of roomIds) if ((completed.get(roomId) ?? 0) <= position) now.add(roomId)
    completed.clear()
    isLoading = false
  }

  return {
    now,
    ready() {
      loading ??= load().catch((error) => {
        loading = undefined
        throw error
      })
      return loading
    },
  }
}
