import type { App } from '../../../app.ts'
import { type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateNids } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../../storage/rooms/timeline/state-entries.ts'
import { changeLockedState } from './change-locked-state.ts'

/**
 * Returns the state group of a state received from another server, given as nids of its events; of two events for one
 * key the later counts. Shares trie nodes with the room's current state.
 */
export async function receivedState(
  app: Pick<App, 'takeNids'>,
  room: LockedRoom,
  nids: readonly number[],
): Promise<number> {
  const overlay = overlayOf(room)
  const root = room.head?.state_root ?? 0
  const current = new Set(await readStateNids(room.db, root, 'all', overlay))
  const wanted = new Set(nids)
  const removed = [...current].filter((nid) => !wanted.has(nid))
  const entries = await loadStateEntries(room.db, [...nids, ...removed], overlay.events)
  const changes = new Map<string, { type: string; state_key: string; event_nid: number }>()
  for (const nid of removed) {
    const entry = entries.get(nid)!
    changes.set(`${entry.type}\0${entry.state_key}`, { ...entry, event_nid: 0 })
  }
  for (const nid of nids) {
    const entry = entries.get(nid)
    if (!entry) continue
    const key = `${entry.type}\0${entry.state_key}`
    if (!current.has(nid) || changes.has(key)) changes.set(key, entry)
  }
  return changeLockedState(app, room, { root, changes: [...changes.values()] })
}
