import type { TrieNode } from './state-trie.ts'

/** The maximum nodes in a pack; the address of a node is the pack's nid times this, plus its index. */
export const NODES_PER_PACK = 64
const KEY_BYTES = 16
const NUMBER_BYTES = 6

/**
 * Encodes the nodes of a pack in order of their index. Layout of each: kind, count, then entries or (place, child)
 * pairs.
 */
export function encodePack(nodes: readonly TrieNode[]): Buffer {
  return Buffer.concat(nodes.map(encodeNode))
}

/** Decodes the output of `encodePack`. */
export function decodePack(bytes: Uint8Array): TrieNode[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const nodes: TrieNode[] = []
  let offset = 0
  while (offset < buffer.length) {
    const isLeaf = buffer[offset] === 1
    const count = buffer[offset + 1]!
    const width = buffer[offset + 2]!
    offset += 3
    nodes.push(isLeaf ? decodeLeaf(buffer, offset, count) : decodeInner(buffer, offset, count, width))
    offset += count * (isLeaf ? KEY_BYTES + NUMBER_BYTES : 1 + NUMBER_BYTES)
  }
  return nodes
}

function encodeNode(node: TrieNode): Buffer {
  return node.kind === 'leaf' ? encodeLeaf(node.entries) : encodeInner(node.children)
}

function encodeLeaf(entries: ReadonlyMap<string, number>): Buffer {
  const buffer = Buffer.allocUnsafe(3 + entries.size * (KEY_BYTES + NUMBER_BYTES))
  buffer[0] = 1
  buffer[1] = entries.size
  buffer[2] = 0
  let offset = 3
  for (const [key, nid] of entries) {
    buffer.write(key, offset, KEY_BYTES, 'latin1')
    buffer.writeUIntBE(nid, offset + KEY_BYTES, NUMBER_BYTES)
    offset += KEY_BYTES + NUMBER_BYTES
  }
  return buffer
}

function encodeInner(children: readonly number[]): Buffer {
  const present = [...children.entries()].filter(([, child]) => child !== 0)
  const buffer = Buffer.allocUnsafe(3 + present.length * (1 + NUMBER_BYTES))
  buffer[0] = 2
  buffer[1] = present.length
  buffer[2] = children.length
  let offset = 3
  for (const [place, child] of present) {
    buffer[offset] = place
    buffer.writeUIntBE(child, offset + 1, NUMBER_BYTES)
    offset += 1 + NUMBER_BYTES
  }
  return buffer
}

function decodeLeaf(buffer: Buffer, start: number, count: number): TrieNode {
  const entries = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const offset = start + i * (KEY_BYTES + NUMBER_BYTES)
    entries.set(
      buffer.toString('latin1', offset, offset + KEY_BYTES),
      buffer.readUIntBE(offset + KEY_BYTES, NUMBER_BYTES),
    )
  }
  return { kind: 'leaf', entries }
}

function decodeInner(buffer: Buffer, start: number, count: number, width: number): TrieNode {
  const children = new Array<number>(width).fill(0)
  for (let i = 0; i < count; i++) {
    const offset = start + i * (1 + NUMBER_BYTES)
    children[buffer[offset]!] = buffer.readUIntBE(offset + 1, NUMBER_BYTES)
  }
  return { kind: 'inner', children }
}
