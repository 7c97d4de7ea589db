import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { loadPartialRooms } from '../../../storage/rooms/membership/partial-rooms.ts'

/** The rooms of which not all members are known, kept in step with the stream. */
export type PartialRooms = {
  /** As of the stream's position, once `ready` has resolved. */
  readonly now: ReadonlySet<RoomId>
  ready(): Promise<void>
}

/** Follows which rooms are partial; what there was before is read when somebody first asks. */
export function followPartialRooms(app: Pick<App, 'database' | 'stream'>): PartialRooms {
  const now = new Set<RoomId>()
  /** Where the stream told, during the reading, that a room is complete: what is read may be older. */
  const completed = new Map<RoomId, number>()
  let loading: Promise<void> | undefined
  let isLoading = false

  app.stream.subscribe((rows) => {
    for (const { kind, room_id, stream_position } of rows) {
      if (room_id === null) continue
      if (kind === 'room_partial') now.add(room_id)
      if (kind !== 'room_complete') continue
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
