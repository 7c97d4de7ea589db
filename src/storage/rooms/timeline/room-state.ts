import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { StateKey } from '../../../core/pdu.ts'
import {
  type Missing,
  type NodeSource,
  type TrieChange,
  type TrieNode,
  type TriePart,
  trieDiff,
  trieEvents,
  trieLookup,
  trieUpdate,
} from '../../../core/rooms/state-trie.ts'
import { decodePack, encodePack, NODES_PER_PACK } from '../../../core/rooms/state-trie-codec.ts'
import type { Db, Tx } from '../../engine/database.ts'
import type { TakeNids } from '../../engine/nids.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEvents } from './events.ts'
import { loadStateWithin, type StateBudget } from './state-budget.ts'

/** Thrown when a part of a stored state is not in the database, which only damage explains. */
export class LostStateError extends Error {}

/** Nodes and events of a transaction that are not stored yet; they take precedence over caches and database. */
export type StateOverlay = { nodes: ReadonlyMap<number, TrieNode>; events: ReadonlyMap<number, StoredEvent> }

/** Returns the events of some keys in the state at `root`, in the order of `keys`; absent keys are undefined. */
export async function readStateEvents(
  db: Db,
  root: number,
  keys: readonly StateKey[],
  overlay?: StateOverlay,
): Promise<(StoredEvent | undefined)[]> {
  const { found } = await withNodes(db, overlay, (source) => trieLookup(root, keys, source))
  const events = await loadWithOverlay(db, [...found.values()], overlay)
  return keys.map((_, place) => events.get(found.get(place) ?? 0))
}

/** Returns one event of the state at `root`. */
export async function readStateEvent(
  db: Db,
  root: number,
  type: string,
  stateKey = '',
): Promise<StoredEvent | undefined> {
  const [event] = await readStateEvents(db, root, [{ type, state_key: stateKey }])
  return event
}

/**
 * Returns single events of many states: for each look-up the event of its key in the state at its root, in the order of
 * `lookups`.
 */
export async function readEventsOfStates(
  db: Db,
  lookups: readonly (StateKey & { root: number })[],
): Promise<(StoredEvent | undefined)[]> {
  if (lookups.length === 0) return []
  const { nids } = await withNodes(db, undefined, (source) => lookUpEach(lookups, source))
  const events = await loadEvents(db, [...new Set(nids)].filter(Boolean))
  return nids.map((nid) => events.get(nid))
}

function lookUpEach(
  lookups: readonly (StateKey & { root: number })[],
  source: NodeSource,
): { nids: number[] } | Missing {
  const nids: number[] = []
  const missing: number[] = []
  for (const lookup of lookups) {
    const result = trieLookup(lookup.root, [lookup], source)
    if ('missing' in result) missing.push(...result.missing)
    else nids.push(result.found.get(0) ?? 0)
  }
  return missing.length > 0 ? { missing } : { nids }
}

/** Returns how many of some keys the state at `root` has. */
export async function countPresent(
  db: Db,
  root: number,
  keys: readonly StateKey[],
  overlay?: StateOverlay,
): Promise<number> {
  return (await withNodes(db, overlay, (source) => trieLookup(root, keys, source))).found.size
}

/** Returns all state at `root`, or only members, or all except members; with a budget, as many events as fit. */
export async function readAllState(
  db: Db,
  root: number,
  part: TriePart = 'all',
  budget?: StateBudget,
): Promise<StoredEvent[]> {
  const { nids } = await withNodes(db, undefined, (source) => trieEvents(root, part, source))
  const events = budget ? await loadStateWithin(db, nids, budget) : await loadEvents(db, nids)
  return [...events.values()]
}

/** The number of events read in one query. */
const PIECE = 100

/** Like `readAllState`, in batches, so that a huge state is never completely in memory. */
export async function* readStateInPieces(db: Db, root: number, part: TriePart = 'all'): AsyncGenerator<StoredEvent[]> {
  const { nids } = await withNodes(db, undefined, (source) => trieEvents(root, part, source))
  for (let start = 0; start < nids.length; start += PIECE) {
    yield [...(await loadEvents(db, nids.slice(start, start + PIECE))).values()]
  }
}

/** Returns the events of a type in the state at `root`, except members; as many as fit. */
export async function readStateOfType(
  db: Db,
  root: number,
  { type, budget }: { type: string; budget: StateBudget },
): Promise<StoredEvent[]> {
  const { nids } = await withNodes(db, undefined, (source) => trieEvents(root, 'rest', source))
  const ofType = nids.length <= PIECE ? nids : await filterByType(db, nids, type)
  const events = await loadStateWithin(db, ofType, budget)
  return [...events.values()].filter(({ pdu }) => pdu.type === type)
}

async function filterByType(db: Db, nids: readonly number[], type: string): Promise<number[]> {
  const { rows } = await sql<{
    event_nid: number
  }>`select event_nid from events where event_nid = any(${nids}::bigint[]) and type = ${type}`.execute(db.sql)
  return rows.map(({ event_nid }) => event_nid)
}

/** Returns the difference of two states: events only in `to`, and those only in `from`. */
export async function readStateDiff(
  db: Db,
  from: number,
  to: number,
  part: TriePart = 'all',
  overlay?: StateOverlay,
): Promise<{ added: StoredEvent[]; removed: StoredEvent[] }> {
  const { added, removed } = await readNidDiff(db, { from, to, part }, overlay)
  const events = await loadWithOverlay(db, [...added, ...removed], overlay)
  const pick = (nids: number[]) => nids.flatMap((nid) => events.get(nid) ?? [])
  return { added: pick(added), removed: pick(removed) }
}

/** Like `readStateDiff`, limited to what fits into a budget. */
export async function readChangedState(
  db: Db,
  { from, to }: { from: number; to: number },
  budget: StateBudget,
): Promise<{ added: StoredEvent[]; removed: StoredEvent[] }> {
  const { added, removed } = await readNidDiff(db, { from, to, part: 'all' })
  const within = async (nids: readonly number[], room: StateBudget) => {
    const events = await loadStateWithin(db, nids, room)
    return nids.flatMap((nid) => events.get(nid) ?? [])
  }
  // For removed events only their keys are sent.
  return { added: await within(added, budget), removed: await within(removed, { ...budget }) }
}

/** Like `readStateDiff`, only nids. */
export async function readNidDiff(
  db: Db,
  { from, to, part }: { from: number; to: number; part: TriePart },
  overlay?: StateOverlay,
): Promise<{ added: number[]; removed: number[] }> {
  if (from === to) return { added: [], removed: [] }
  return withNodes(db, overlay, (source) => trieDiff(from, to, part, source))
}

/** Returns the nids of all events of the state at `root`, or of a part of it. */
export async function readStateNids(
  db: Db,
  root: number,
  part: TriePart = 'all',
  overlay?: StateOverlay,
): Promise<number[]> {
  return (await withNodes(db, overlay, (source) => trieEvents(root, part, source))).nids
}

/** Applies changes to a state without storing it: returns the new root and the nodes for `storeStateNodes`. */
export async function changeState(command: {
  db: Db
  takeNids: TakeNids
  root: number
  changes: readonly TrieChange[]
  overlay?: StateOverlay
}): Promise<{ root: number; created: Map<number, TrieNode> }> {
  const { db, root, changes } = command
  const packs = await command.takeNids(db, 1 + Math.ceil(changes.length / 8))
  return withNodes(db, command.overlay, (source) => trieUpdate(root, changes, source, addressesIn(packs)))
}

/** Stores new nodes, grouped into packs by their addresses. */
export async function storeStateNodes(
  tx: Tx,
  nodes: readonly { roomId: RoomId; nodes: ReadonlyMap<number, TrieNode> }[],
): Promise<void> {
  const packs = nodes.flatMap((entry) => packNodes(entry.nodes).map((pack) => ({ ...pack, room_id: entry.roomId })))
  if (packs.length === 0) return
  await sql`insert into state_packs (pack_nid, room_id, nodes)
    select pack_nid, room_id, decode(nodes, 'base64') from unnest(${packs.map((pack) => pack.pack_nid)}::bigint[],
      ${packs.map((pack) => pack.room_id)}::text[], ${packs.map((pack) => pack.nodes)}::text[]) as packs(pack_nid, room_id, nodes)`.execute(
    tx.sql,
  )
}

function packNodes(nodes: ReadonlyMap<number, TrieNode>): { pack_nid: number; nodes: string }[] {
  const packs = new Map<number, TrieNode[]>()
  for (const [address, node] of nodes) {
    const nid = Math.floor(address / NODES_PER_PACK)
    const pack = packs.get(nid) ?? []
    pack[address % NODES_PER_PACK] = node
    packs.set(nid, pack)
  }
  return [...packs].map(([pack_nid, pack]) => ({ pack_nid, nodes: encodePack(pack).toString('base64') }))
}

function addressesIn(packs: readonly number[]): () => number {
  let taken = 0
  return () => {
    const pack = packs[Math.floor(taken / NODES_PER_PACK)]
    if (pack === undefined) throw new Error('a state change needs more packs than were taken for it')
    return pack * NODES_PER_PACK + (taken++ % NODES_PER_PACK)
  }
}

/** Repeats a trie operation, each time with the missing nodes loaded. */
async function withNodes<Result extends object>(
  db: Db,
  overlay: StateOverlay | undefined,
  operation: (source: NodeSource) => Result | Missing,
): Promise<Result> {
  const loaded = new Map<number, TrieNode>()
  const source: NodeSource = (address) => {
    const node = overlay?.nodes.get(address) ?? loaded.get(address)
    if (node) return node
    const cached = db.caches.stateNodes.get(address)
    if (cached) db.caches.counts.state_nodes.hits++
    return cached
  }
  for (;;) {
    const result = operation(source)
    if (!('missing' in result)) return result
    await loadNodes(db, result.missing, loaded)
  }
}

async function loadNodes(db: Db, addresses: readonly number[], into: Map<number, TrieNode>): Promise<void> {
  const packNids = [...new Set(addresses.map((address) => Math.floor(address / NODES_PER_PACK)))]
  db.caches.counts.state_nodes.misses += addresses.length
  for (const [packNid, nodes] of await loadPacks(db, packNids)) {
    for (const [index, node] of nodes.entries()) into.set(packNid * NODES_PER_PACK + index, node)
  }
  const lost = addresses.find((address) => !into.has(address))
  if (lost !== undefined) throw new LostStateError(`The state node ${lost} is not in the database`)
}

const loadPacks = sharedLoads(readPacks, { whileReading: true })

async function readPacks(db: Db, packNids: number[]): Promise<Map<number, TrieNode[]>> {
  const { rows } = await sql<{ pack_nid: number; nodes: Uint8Array }>`select pack_nid, nodes from state_packs
    where pack_nid = any(${packNids}::bigint[])`.execute(db.sql)
  return new Map(
    rows.map((row) => {
      const nodes = decodePack(row.nodes)
      for (const [index, node] of nodes.entries()) db.caches.stateNodes.set(row.pack_nid * NODES_PER_PACK + index, node)
      return [row.pack_nid, nodes]
    }),
  )
}

async function loadWithOverlay(db: Db, nids: number[], overlay?: StateOverlay): Promise<Map<number, StoredEvent>> {
  if (!overlay) return loadEvents(db, nids)
  const events = await loadEvents(
    db,
    nids.filter((nid) => !overlay.events.has(nid)),
  )
  for (const nid of nids) {
    const event = overlay.events.get(nid)
    if (event) events.set(nid, event)
  }
  return events
}
