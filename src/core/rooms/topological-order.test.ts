import fc from 'fast-check'
import { expect, test } from 'vitest'
import { topologicalOrder } from './topological-order.ts'

test('each comes once, and after all that it refers to', () => {
  const graph = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { maxLength: 30 })
  fc.assert(
    fc.property(graph, fc.infiniteStream(fc.nat()), (references, draws) => {
      const items = references.map((ids, id) => ({ id, refs: ids.filter((ref) => ref < id) }))
      const shuffled = items.map((item) => ({ item, draw: draws.next().value })).sort((a, b) => a.draw - b.draw)
      const ordered = topologicalOrder(new Map(shuffled.map(({ item }) => [item.id, item])), ({ refs }) => refs)
      expect(ordered.length).toBe(items.length)
      const place = new Map(ordered.map(({ id }, index) => [id, index]))
      for (const { id, refs } of items) for (const ref of refs) expect(place.get(ref)!).toBeLessThan(place.get(id)!)
    }),
  )
})

test('a chain of a hundred thousand is no trouble', () => {
  const chain = new Map(Array.from({ length: 100_000 }, (_, id) => [id, id]))
  expect(topologicalOrder(chain, (id) => [id + 1])[0]).toBe(99_999)
})
