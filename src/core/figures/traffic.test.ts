import { expect, test } from 'vitest'
import { largest, OTHERS, sumTables, type TrafficTable } from './traffic.ts'

const table: TrafficTable = new Map([
  ['often', [1000, 1, 10, 10]],
  ['slow', [1, 500, 10, 10]],
  ['upload', [1, 1, 1e9, 10]],
  ['download', [1, 1, 10, 1e9]],
  ['nothing', [1, 0.01, 10, 10]],
  [OTHERS, [2, 2, 2, 2]],
])

test('an entry is kept if it matters by any measure', () => {
  expect([...largest(table, 4).keys()].toSorted()).toEqual([OTHERS, 'download', 'often', 'slow', 'upload'].toSorted())
})

test('what is left out is in the sum of all others', () => {
  const sumOf = (all: TrafficTable) => {
    const sum: TrafficTable = new Map()
    for (const traffic of all.values()) sumTables(sum, new Map([['sum', traffic]]))
    return sum.get('sum')
  }
  for (const limit of [1, 2, 3, 10]) {
    expect(largest(table, limit).size).toBeLessThanOrEqual(limit + 1)
    expect(sumOf(largest(table, limit))).toEqual(sumOf(table))
  }
})

test('the tables that are summed up stay as they are', () => {
  const into: TrafficTable = new Map()
  const one: TrafficTable = new Map([['a', [1, 2]]])
  sumTables(into, one)
  sumTables(into, new Map([['a', [1, 2, 3, 4, 5]]]))
  expect(into.get('a')).toEqual([2, 4, 3, 4, 5])
  expect(one.get('a')).toEqual([1, 2])
})
