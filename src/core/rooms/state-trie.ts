import { hash as digest } from 'node:crypto'

/**
 * Room state as a persistent trie: a map from (type, state_key) to the nid of an event. A changed copy shares all nodes
 * except one path with the original. Members are in a branch of their own, so that other state of a huge room can be
 * read without them. Nodes are immutable and addressed by number. Operations are synchronous: if nodes are not loaded,
 * they return the addresses that they need.
 */
export type TrieNode =
  | { readonly kind: 'inner'; readonly children: readonly number[] }
  | { readonly kind: 'leaf'; readonly entries: ReadonlyMap<string, number> }

/** 0 means "no node": event and pack nids start above it. */
export const EMPTY = 0
const FAN_OUT = 16
const LEAF_MAX = 24

export type NodeSource = (address: number) => TrieNode | undefined
export type Missing = { missing: number[] }
export type TriePart = 'all' | 'members' | 'rest'
/** `event_nid` 0 removes the key. */
export type TrieChange = { type: string; state_key: string; event_nid: number }

/** Ends an operation when a node is not loaded; never leaves this file. */
class MissingNodes extends Error {
  readonly addresses: number[]
  constructor(addresses: number[]) {
    super('nodes missing')
    this.addresses = addresses
  }
}

/** Finds the events of keys. Absent keys are absent from the result, whose keys are indexes of `keys`. */
export function trieLookup(
  root: number,
  keys: readonly { type: string; state_key: string }[],
  source: NodeSource,
): { found: Map<number, number> } | Missing {
  const found = new Map<number, number>()
  const missing = new Set<number>()
  for (const [place, { type, state_key }] of keys.entries()) {
    const nid = lookupOne(root, type, state_key, source, missing)
    if (nid) found.set(place, nid)
  }
  return missing.size > 0 ? { missing: [...missing] } : { found }
}

/**
 * Applies changes to the state; returns the new root and its new nodes by address. `allocate` returns a new address.
 */
export function trieUpdate(
  root: number,
  changes: readonly TrieChange[],
  source: NodeSource,
  allocate: () => number,
): { root: number; created: Map<number, TrieNode> } | Missing {
  const created = new Map<number, TrieNode>()
  const look: NodeSource = (address) => created.get(address) ?? source(address)
  const make = (node: TrieNode): number => {
    const address = allocate()
    created.set(address, node)
    return address
  }
  try {
    const members = entriesOf(changes.filter((change) => change.type === 'm.room.member'))
    const rest = entriesOf(changes.filter((change) => change.type !== 'm.room.member'))
    const [oldRest, oldMembers] = branches(root, look)
    const newRest = insert(oldRest, rest, 0, look, make)
    const newMembers = insert(oldMembers, members, 0, look, make)
    if (newRest === oldRest && newMembers === oldMembers) return { root, created }
    return { root: make({ kind: 'inner', children: [newRest, newMembers] }), created }
  } catch (error) {
    return missingOf(error)
  }
}

/** Returns the nids of all events in the state, unordered. */
export function trieEvents(root: number, part: TriePart, source: NodeSource): { nids: number[] } | Missing {
  const nids: number[] = []
  const missing = new Set<number>()
  const pending = partRoots(root, part, source, missing)
  while (pending.length > 0) {
    const address = pending.pop()!
    if (address === EMPTY) continue
    const node = source(address)
    if (!node) missing.add(address)
    else if (node.kind === 'leaf') nids.push(...node.entries.values())
    else pending.push(...node.children)
  }
  return missing.size > 0 ? { missing: [...missing] } : { nids }
}

/** Returns the events that are only in `from`, and those only in `to`. Skips shared branches without reading them. */
export function trieDiff(
  from: number,
  to: number,
  part: TriePart,
  source: NodeSource,
): { removed: number[]; added: number[] } | Missing {
  const missing = new Set<number>()
  const removed = new Map<string, number>()
  const added = new Map<string, number>()
  if (from !== to) {
    const fromRoots = partRoots(from, part, source, missing)
    const toRoots = partRoots(to, part, source, missing)
    if (missing.size > 0) return { missing: [...missing] }
    for (const [place, fromRoot] of fromRoots.entries())
      diffInto(fromRoot, toRoots[place]!, source, missing, removed, added)
  }
  if (missing.size > 0) return { missing: [...missing] }
  for (const [key, nid] of removed) {
    if (added.get(key) !== nid) continue
    added.delete(key)
    removed.delete(key)
  }
  return { removed: [...removed.values()], added: [...added.values()] }
}

function diffInto(
  from: number,
  to: number,
  source: NodeSource,
  missing: Set<number>,
  removed: Map<string, number>,
  added: Map<string, number>,
): void {
  if (from === to) return
  const fromNode = from === EMPTY ? undefined : nodeOr(from, source, missing)
  const toNode = to === EMPTY ? undefined : nodeOr(to, source, missing)
  if ((from !== EMPTY && !fromNode) || (to !== EMPTY && !toNode)) return
  if (fromNode?.kind === 'inner' && toNode?.kind === 'inner') {
    for (let i = 0; i < FAN_OUT; i++)
      diffInto(fromNode.children[i]!, toNode.children[i]!, source, missing, removed, added)
    return
  }
  collect(fromNode, source, missing, removed)
  collect(toNode, source, missing, added)
}

function collect(
  node: TrieNode | undefined,
  source: NodeSource,
  missing: Set<number>,
  into: Map<string, number>,
): void {
  if (!node) return
  if (node.kind === 'leaf') {
    for (const [key, nid] of node.entries) into.set(key, nid)
    return
  }
  for (const child of node.children) if (child !== EMPTY) collect(nodeOr(child, source, missing), source, missing, into)
}

function nodeOr(address: number, source: NodeSource, missing: Set<number>): TrieNode | undefined {
  const node = source(address)
  if (!node) missing.add(address)
  return node
}

function partRoots(root: number, part: TriePart, source: NodeSource, missing: Set<number>): number[] {
  if (root === EMPTY) return part === 'all' ? [EMPTY, EMPTY] : [EMPTY]
  const node = nodeOr(root, source, missing)
  if (node?.kind !== 'inner') return []
  const [rest, members] = node.children as [number, number]
  return part === 'all' ? [rest, members] : part === 'rest' ? [rest] : [members]
}

function lookupOne(
  root: number,
  type: string,
  stateKey: string,
  source: NodeSource,
  missing: Set<number>,
): number | undefined {
  if (root === EMPTY) return undefined
  const top = nodeOr(root, source, missing)
  if (top?.kind !== 'inner') return undefined
  let address = top.children[type === 'm.room.member' ? 1 : 0]!
  const key = stateKeyHash(type, stateKey)
  for (let depth = 0; address !== EMPTY; depth++) {
    const node = nodeOr(address, source, missing)
    if (!node) return undefined
    if (node.kind === 'leaf') return node.entries.get(key)
    address = node.children[nibble(key, depth)]!
  }
  return undefined
}

function branches(root: number, look: NodeSource): [number, number] {
  if (root === EMPTY) return [EMPTY, EMPTY]
  const top = need(root, look)
  return top.kind === 'inner' ? (top.children as [number, number]) : [EMPTY, EMPTY]
}

function insert(
  address: number,
  entries: Map<string, number>,
  depth: number,
  look: NodeSource,
  make: (node: TrieNode) => number,
): number {
  if (entries.size === 0) return address
  const node = address === EMPTY ? undefined : need(address, look)
  if (node?.kind === 'inner') return insertIntoInner(address, node.children, entries, depth, look, make)
  const merged = new Map(node?.entries)
  for (const [key, nid] of entries) {
    if (nid === EMPTY) merged.delete(key)
    else merged.set(key, nid)
  }
  if (merged.size === 0) return EMPTY
  if (node && sameEntries(node.entries, merged)) return address
  if (merged.size <= LEAF_MAX) return make({ kind: 'leaf', entries: merged })
  return insertIntoInner(EMPTY, new Array(FAN_OUT).fill(EMPTY), merged, depth, look, make)
}

function insertIntoInner(
  address: number,
  oldChildren: readonly number[],
  entries: Map<string, number>,
  depth: number,
  look: NodeSource,
  make: (node: TrieNode) => number,
): number {
  const groups = new Map<number, Map<string, number>>()
  for (const [key, nid] of entries) {
    const place = nibble(key, depth)
    const group = groups.get(place) ?? new Map()
    groups.set(place, group.set(key, nid))
  }
  const children = [...oldChildren]
  for (const [place, group] of groups) children[place] = insert(children[place]!, group, depth + 1, look, make)
  if (children.every((child) => child === EMPTY)) return EMPTY
  return children.every((child, place) => child === oldChildren[place]) ? address : make({ kind: 'inner', children })
}

function sameEntries(old: ReadonlyMap<string, number>, merged: Map<string, number>): boolean {
  if (old.size !== merged.size) return false
  for (const [key, nid] of merged) if (old.get(key) !== nid) return false
  return true
}

function need(address: number, look: NodeSource): TrieNode {
  const node = look(address)
  if (!node) throw new MissingNodes([address])
  return node
}

function missingOf(error: unknown): Missing {
  if (error instanceof MissingNodes) return { missing: error.addresses }
  throw error
}

function entriesOf(changes: readonly TrieChange[]): Map<string, number> {
  return new Map(changes.map((change) => [stateKeyHash(change.type, change.state_key), change.event_nid]))
}

/** 16 bytes of SHA-256 as a string of 16 Latin-1 characters: long enough to prevent deliberate collisions. */
function stateKeyHash(type: string, stateKey: string): string {
  const known = stateKey === '' ? emptyKeyHashes.get(type) : undefined
  if (known) return known
  const hash = digest('sha256', `${type}\0${stateKey}`, 'binary').slice(0, 16)
  if (stateKey === '' && emptyKeyHashes.size < 1000) emptyKeyHashes.set(type, hash)
  return hash
}

/** A cache of a pure function: the hashes of the few (type, '') keys that every event looks up. */
const emptyKeyHashes = new Map<string, string>()

function nibble(key: string, depth: number): number {
  const byte = key.charCodeAt(depth >> 1)
  return depth % 2 === 0 ? byte >> 4 : byte & 15
}
