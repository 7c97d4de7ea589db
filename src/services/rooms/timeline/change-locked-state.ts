import type { App } from '../../../app.ts'
import type { TrieChange } from '../../../core/rooms/state-trie.ts'
import { type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { changeState } from '../../../storage/rooms/timeline/room-state.ts'

/** Returns the state group of a state with changes; new trie nodes are stored with the room. */
export async function changeLockedState(
  app: Pick<App, 'takeNids'>,
  room: LockedRoom,
  { root, changes }: { root: number; changes: readonly TrieChange[] },
): Promise<number> {
  if (changes.length === 0) return root
  const overlay = overlayOf(room)
  const changed = await changeState({ db: room.db, takeNids: app.takeNids, root, changes, overlay })
  for (const [address, node] of changed.created) room.nodes.set(address, node)
  return changed.root
}
