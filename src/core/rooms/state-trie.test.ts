import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EMPTY, type TrieNode, trieDiff, trieEvents, trieLookup, trieUpdate } from './state-trie.ts'
import { decodePack, encodePack } from './state-trie-codec.ts'

const key = fc.record({
  type: fc.constantFrom('m.room.member', 'm.room.name', 'm.space.child', 'm.room.power_levels'),
  state_key: fc.integer({ min: 0, max: 300 }).map(String),
})
const batch = fc.array(
  fc.record({ key, event_nid: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 1e9 }) }, fc.constant(0)) }),
  { maxLength: 80 },
)

function world() {
  const nodes = new Map<number, TrieNode>()
  let next = 1
  const source = (address: number) => nodes.get(address)
  const put = (root: number, changes: { type: string; state_key: string; event_nid: number }[]) => {
    const result = trieUpdate(root, changes, source, () => next++)
    if ('missing' in result) throw new Error('missing')
    for (const [address, node] of result.created) nodes.set(address, decodePack(encodePack([node]))[0]!)
    return result.root
  }
  return { nodes, source, put }
}
const idOf = (k: { type: string; state_key: string }) => `${k.type}\0${k.state_key}`

test('a trie holds what a map holds, every earlier version stays readable, and diffs are exact', () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 8 }), (batches) => {
      const { source, put } = world()
      const versions: { root: number; map: Map<string, { type: string; state_key: string; nid: number }> }[] = [
        { root: EMPTY, map: new Map() },
      ]
      for (const changes of batches) {
        const last = versions.at(-1)!
        const map = new Map(last.map)
        for (const { key: k, event_nid } of changes) {
          if (event_nid === 0) map.delete(idOf(k))
          else map.set(idOf(k), { ...k, nid: event_nid })
        }
        versions.push({
          root: put(
            last.root,
            changes.map((c) => ({ ...c.key, event_nid: c.event_nid })),
          ),
          map,
        })
      }
      for (const { root, map } of versions) {
        const keys = [...map.values()]
        const looked = trieLookup(root, [...keys, { type: 'm.none', state_key: '' }], source)
        expect('found' in looked && keys.map((_, i) => looked.found.get(i))).toEqual(keys.map((k) => k.nid))
        expect('found' in looked && looked.found.has(keys.length)).toBe(false)
        const members = trieEvents(root, 'members', source)
        const wanted = keys.filter((k) => k.type === 'm.room.member').map((k) => k.nid)
        expect('nids' in members && members.nids.sort()).toEqual(wanted.sort())
      }
      const [from, to] = [versions[Math.floor(versions.length / 2)]!, versions.at(-1)!]
      const diff = trieDiff(from.root, to.root, 'all', source)
      const added = [...to.map].filter(([id, v]) => from.map.get(id)?.nid !== v.nid).map(([, v]) => v.nid)
      const removed = [...from.map].filter(([id, v]) => to.map.get(id)?.nid !== v.nid).map(([, v]) => v.nid)
      expect('added' in diff && [diff.added.sort(), diff.removed.sort()]).toEqual([added.sort(), removed.sort()])
    }),
    { numRuns: 150 },
  )
})

test('a change that changes nothing keeps the root', () => {
  const { put } = world()
  const root = put(EMPTY, [{ type: 'm.room.name', state_key: '', event_nid: 5 }])
  expect(put(root, [{ type: 'm.room.name', state_key: '', event_nid: 5 }])).toBe(root)
  expect(put(root, [])).toBe(root)
})

test('one change in a large state makes few nodes, and shared branches are not read by a diff', () => {
  const { nodes, source, put } = world()
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    type: 'm.room.member',
    state_key: `@u${i}:x`,
    event_nid: i + 1,
  }))
  const root = put(EMPTY, many)
  const before = nodes.size
  const changed = put(root, [{ type: 'm.room.member', state_key: '@u77:x', event_nid: 99_999 }])
  expect(nodes.size - before).toBeLessThanOrEqual(6)
  let reads = 0
  const diff = trieDiff(root, changed, 'all', (address) => {
    reads++
    return source(address)
  })
  expect(diff).toEqual({ removed: [78], added: [99_999] })
  expect(reads).toBeLessThanOrEqual(12)
})

test('missing nodes are requested', () => {
  const { put } = world()
  const root = put(EMPTY, [{ type: 'm.room.name', state_key: '', event_nid: 5 }])
  const nothing = () => undefined
  expect(trieLookup(root, [{ type: 'm.room.name', state_key: '' }], nothing)).toEqual({ missing: [root] })
  expect(trieEvents(root, 'all', nothing)).toEqual({ missing: [root] })
  expect(trieUpdate(root, [{ type: 'a', state_key: '', event_nid: 1 }], nothing, () => 1)).toEqual({ missing: [root] })
  expect(trieDiff(root, EMPTY, 'all', nothing)).toEqual({ missing: [root] })
  expect(trieDiff(EMPTY, root, 'all', nothing)).toEqual({ missing: [root] })
})
