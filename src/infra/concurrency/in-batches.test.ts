import { expect, test } from 'vitest'
import { inBatches } from './in-batches.ts'

/** Doubles numbers; exposes the batches, and a function that lets the next batch start. */
function setUp(most: number, gathered?: () => Promise<void>) {
  const batches: (readonly number[])[] = []
  const double = inBatches(
    most,
    async (items: readonly number[]) => {
      batches.push(items)
      if (items.some((item) => item < 0)) throw new Error(`no ${items}`)
      return items.map((item) => 2 * item)
    },
    gathered,
  )
  return { batches, double }
}

test('items of one turn, and those added during a batch, are processed together, in order', async () => {
  const { batches, double } = setUp(3)
  const first = Promise.all([1, 2, 3, 4].map(double))
  const meanwhile = double(1).then(() => Promise.all([5, 6].map(double)))
  expect(await first).toEqual([2, 4, 6, 8])
  expect(await meanwhile).toEqual([10, 12])
  expect(batches).toEqual([
    [1, 2, 3],
    [4, 1],
    [5, 6],
  ])
})

test('a failed item fails no other item, and later ones are processed', async () => {
  const { batches, double } = setUp(10)
  const answers = await Promise.allSettled([1, -1, 2].map(double))
  expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : String(answer.reason)))).toEqual([
    2,
    'Error: no -1',
    4,
  ])
  expect(await double(3)).toBe(6)
  expect(batches).toEqual([[1, -1, 2], [1], [-1], [2], [3]])
})

test('a batch has what comes until all have gathered', async () => {
  let begin = () => {}
  const gathered = new Promise<void>((resolve) => (begin = resolve))
  const { batches, double } = setUp(10, () => gathered)
  const first = double(1)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const second = double(2)
  expect(batches).toEqual([])
  begin()
  expect(await Promise.all([first, second])).toEqual([2, 4])
  expect(batches).toEqual([[1, 2]])
})
