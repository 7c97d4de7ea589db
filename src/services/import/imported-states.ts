import type { RoomId } from '../../core/ids.ts'
import type { TrieChange, TrieNode } from '../../core/rooms/state-trie.ts'
import { changeState, readStateNids } from '../../storage/rooms/timeline/room-state.ts'
import type { ImportContext } from './import-step.ts'
import type { SynapseEvent } from './read-events.ts'
import type { ImportPlan } from './room-plan.ts'

/** The states of rooms that are being imported. */
export type ImportedStates = {
  /** Returns the states before and after an event. Events must come after their prev events, as far as there are any. */
  statesOf(event: SynapseEvent, prevs: readonly string[]): Promise<{ before: number; after: number }>
  /** Changes a state by what Synapse notes about a room's current state; unknown events are left out. */
  apply(roomId: RoomId, root: number, changes: readonly CurrentChange[]): Promise<number>
  /** Returns the nids of a state's events. */
  nidsOf(root: number): Promise<number[]>
  /** Returns the new nodes since the last call, by room: the caller stores them. */
  takeNodes(): { roomId: RoomId; nodes: Map<number, TrieNode> }[]
}

/** An entry of a room's state; `event_id` null: it was removed. */
export type CurrentChange = { type: string; state_key: string; event_id: string | null }

/** Nodes that are kept in memory, also after they were stored. */
const MOST_NODES = 200_000
/** State groups form chains of at most 100 differences. Tools that compress them make longer ones. */
const LONGEST_CHAIN = 10_000

/** The known states of the rooms. */
type Memory = {
  context: ImportContext
  plan: ImportPlan
  nodes: Map<number, TrieNode>
  unstored: Map<RoomId, Map<number, TrieNode>>
  /** Roots by Synapse's state groups. */
  rootOfGroup: Map<number, number>
}

/**
 * Follows the states of events through the room. Synapse's state groups are only read where the state does not follow
 * from the events before: after forks, and where this server joined.
 */
export function createImportedStates(context: ImportContext, plan: ImportPlan): ImportedStates {
  const memory: Memory = { context, plan, nodes: new Map(), unstored: new Map(), rootOfGroup: new Map() }
  return {
    statesOf: (event, prevs) => statesOf(memory, event, prevs),
    apply: (roomId, root, changes) => apply(memory, { roomId, root }, changes),
    nidsOf: (root) => readStateNids(context.database, root, 'all', { nodes: memory.nodes, events: new Map() }),
    takeNodes: () => takeNodes(memory),
  }
}

async function statesOf(
  memory: Memory,
  event: SynapseEvent,
  prevs: readonly string[],
): Promise<{ before: number; after: number }> {
  const { context, plan, rootOfGroup } = memory
  const { planned, pdu, rejection, stateGroup } = event
  const { room_id: roomId } = planned
  const roots = new Set(prevs.map((id) => plan.byId.get(id)?.stateAfter ?? 0))
  const isState = pdu.state_key !== undefined && rejection === null
  const key = { type: pdu.type, state_key: pdu.state_key ?? '' }
  const own = { ...key, event_nid: planned.ordering + context.extent.nidShift }
  const [only = 0] = roots
  if (pdu.type === 'm.room.create' || (roots.size === 1 && only !== 0)) {
    const after = isState ? await change(memory, { roomId, root: only }, [own]) : only
    if (stateGroup !== null && !rootOfGroup.has(stateGroup)) rootOfGroup.set(stateGroup, after)
    return { before: only, after }
  }
  if (stateGroup === null) {
    context.note(`event ${planned.event_id}: Synapse does not know the state at it`)
    const before = [...roots].find((root) => root !== 0) ?? 0
    return { before, after: isState ? await change(memory, { roomId, root: before }, [own]) : before }
  }
  const after = await rootOf(memory, roomId, stateGroup)
  const { replaces_state: replaced } = event.unsigned
  const old = { ...key, event_nid: typeof replaced === 'string' ? nidOf(memory, replaced) : 0 }
  return { before: isState ? await change(memory, { roomId, root: after }, [old]) : after, after }
}

/** Returns the state of a group: the nearest known group before it, and the differences since. */
async function rootOf(memory: Memory, roomId: RoomId, group: number): Promise<number> {
  const { context, rootOfGroup } = memory
  const known = rootOfGroup.get(group)
  if (known !== undefined) return known
  const chain = await loadChain(context, group)
  const base = chain.findIndex((each) => rootOfGroup.has(each))
  const absent = base < 0 ? chain : chain.slice(0, base)
  const start = base < 0 ? 0 : rootOfGroup.get(chain[base]!)!
  const root = await apply(memory, { roomId, root: start }, await loadDifferences(context, absent))
  rootOfGroup.set(group, root)
  return root
}

type Place = { roomId: RoomId; root: number }

async function apply(memory: Memory, place: Place, changes: readonly CurrentChange[]): Promise<number> {
  const known = changes.map(({ type, state_key, event_id }) => {
    const event_nid = event_id === null ? 0 : nidOf(memory, event_id)
    if (event_id !== null && event_nid === 0)
      memory.context.note(`room ${place.roomId}: ${event_id} is in a state, but not stored`)
    return { type, state_key, event_nid }
  })
  return change(memory, place, known)
}

async function change(
  { context: { database: db, takeNids }, nodes, unstored }: Memory,
  { roomId, root }: Place,
  changes: readonly TrieChange[],
): Promise<number> {
  if (changes.length === 0) return root
  const overlay = { nodes, events: new Map() }
  const { root: changed, created } = await changeState({ db, takeNids, root, changes, overlay })
  const own = unstored.get(roomId) ?? new Map()
  unstored.set(roomId, own)
  for (const [address, node] of created) {
    nodes.set(address, node)
    own.set(address, node)
  }
  return changed
}

/** 0: the event is unknown. */
function nidOf({ context, plan }: Memory, eventId: string): number {
  const known = plan.byId.get(eventId)
  return known ? known.ordering + context.extent.nidShift : 0
}

function takeNodes({ nodes, unstored }: Memory): { roomId: RoomId; nodes: Map<number, TrieNode> }[] {
  if (nodes.size > MOST_NODES) {
    nodes.clear()
    for (const created of unstored.values()) for (const [address, node] of created) nodes.set(address, node)
  }
  const taken = [...unstored].map(([roomId, created]) => ({ roomId, nodes: created }))
  unstored.clear()
  return taken
}

async function loadChain({ state }: ImportContext, group: number): Promise<number[]> {
  const rows = await state.query<{ state_group: number }>(
    `with recursive chain (state_group, place) as (
      select cast($1 as bigint), 0
      union all
      select prev_state_group, place + 1 from chain join state_group_edges on
        state_group_edges.state_group = chain.state_group where place < ${LONGEST_CHAIN}
    ) select state_group from chain order by place`,
    [group],
  )
  return rows.map((row) => row.state_group)
}

/** Returns what groups change, the last group's changes first: of several changes of a key, the last counts. */
async function loadDifferences({ state }: ImportContext, groups: readonly number[]): Promise<CurrentChange[]> {
  const rows = await state.query<CurrentChange & { state_group: number }>(
    'select state_group, type, state_key, event_id from state_groups_state where state_group = any($1)',
    [groups],
  )
  const byGroup = Map.groupBy(rows, ({ state_group }) => state_group)
  const changes = new Map<string, CurrentChange>()
  for (const group of groups.toReversed())
    for (const change of byGroup.get(group) ?? []) changes.set(`${change.type}\0${change.state_key}`, change)
  return [...changes.values()]
}
