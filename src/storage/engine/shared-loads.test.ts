import { expect, test } from 'vitest'
import type { Db } from './database.ts'
import { sharedLoads, sharedLookUp } from './shared-loads.ts'

const connection = () => ({ sql: {} }) as unknown as Db

/** A loader that answers on demand and knows all keys except 0. */
function createLoader(sharing: Parameters<typeof sharedLoads>[1] = { whileReading: true }) {
  const queries: { keys: number[]; answer(): void; fail(error: Error): void }[] = []
  const load = sharedLoads<number, string>(
    (_, keys) =>
      new Promise((resolve, reject) => {
        const answer = () => resolve(new Map(keys.filter(Boolean).map((key) => [key, `value ${key}`])))
        queries.push({ keys, answer, fail: reject })
      }),
    sharing,
  )
  return { queries, load }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('keys requested in one turn are one query, each key once, and each caller gets its part', async () => {
  const { queries, load } = createLoader()
  const db = connection()
  const asked = [load(db, [1, 2]), load(db, [2, 3, 0]), Promise.resolve().then(() => load(db, [4]))]
  await turn()
  expect(queries.map(({ keys }) => keys)).toEqual([[1, 2, 3, 0, 4]])
  queries[0]!.answer()
  expect(await Promise.all(asked)).toEqual([
    new Map([[1, 'value 1'], [2, 'value 2']]), // biome-ignore format: one line each
    new Map([[2, 'value 2'], [3, 'value 3']]), // biome-ignore format: one line each
    new Map([[4, 'value 4']]),
  ])
})

test('a running load is shared; afterwards a key is loaded again', async () => {
  const { queries, load } = createLoader()
  const db = connection()
  const early = load(db, [1])
  await turn()
  const late = load(db, [1, 2])
  await turn()
  expect(queries.map(({ keys }) => keys)).toEqual([[1], [2]])
  for (const query of queries) query.answer()
  expect((await early).get(1)).toBe('value 1')
  expect([...(await late).keys()]).toEqual([1, 2])
  const again = load(db, [1])
  await turn()
  expect(queries).toHaveLength(3)
  queries[2]!.answer()
  await again
})

test('a caller that asks after a query has begun gets a query of its own', async () => {
  const { queries, load } = createLoader({ whileReading: false })
  const db = connection()
  const asked = [load(db, [1]), load(db, [1])]
  await turn()
  asked.push(load(db, [1]))
  await turn()
  expect(queries.map(({ keys }) => keys)).toEqual([[1], [1]])
  for (const query of queries) query.answer()
  for (const values of await Promise.all(asked)) expect(values.get(1)).toBe('value 1')
})

test('connections share nothing', async () => {
  const { queries, load } = createLoader()
  const asked = [load(connection(), [1]), load(connection(), [1])]
  await turn()
  expect(queries).toHaveLength(2)
  for (const query of queries) query.answer()
  await Promise.all(asked)
})

test('a load that began before the version changed is not shared with later callers', async () => {
  let version = 1
  const { queries, load } = createLoader({ whileReading: true, versionOf: () => version })
  const db = connection()
  const asked = [load(db, [1])]
  version++
  asked.push(load(db, [1]))
  await turn()
  version++
  asked.push(load(db, [1]))
  await turn()
  expect(queries.map(({ keys }) => keys)).toEqual([[1], [1], [1]])
  for (const query of queries) query.answer()
  for (const values of await Promise.all(asked)) expect(values.get(1)).toBe('value 1')
})

test('a failure reaches all who share it, and is not remembered', async () => {
  const { queries, load } = createLoader()
  const db = connection()
  const asked = [load(db, [1]), load(db, [1, 2])]
  const failed = Promise.allSettled(asked)
  await turn()
  queries[0]!.fail(new Error('lost'))
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const again = load(db, [1])
  await turn()
  queries[1]!.answer()
  expect((await again).get(1)).toBe('value 1')
})

/** Looks up the double of numbers; a query with 13 in it fails. */
function createDoubler(sharing: Parameters<typeof sharedLookUp>[1]) {
  const queries: number[][] = []
  const lookUp = sharedLookUp<number, number>(
    async (_, keys) => {
      queries.push([...keys])
      if (keys.includes(13)) throw new Error('unlucky')
      return new Map(keys.map((key) => [key, 2 * key]))
    },
    { retriesAlone: true, ...sharing },
  )
  return { queries, lookUp }
}

test('a query has at most so many keys; the same key counts once', async () => {
  const { queries, lookUp } = createDoubler({ most: 2 })
  const db = connection()
  const asked = [lookUp(db, 1), lookUp(db, 1), lookUp(db, 2), Promise.resolve().then(() => lookUp(db, 3))]
  expect(await Promise.all(asked)).toEqual([2, 2, 4, 6])
  expect(queries).toEqual([[1, 2], [3]])
  expect(await lookUp(db, 4)).toBe(8)
  expect(queries).toHaveLength(3)
})

test('requests that arrive before the event loop turns share a query', async () => {
  const { queries, lookUp } = createDoubler({ of: 'arrivals' })
  const db = connection()
  const later = new Promise((resolve) => process.nextTick(() => process.nextTick(() => resolve(lookUp(db, 2)))))
  expect(await Promise.all([lookUp(db, 1), later])).toEqual([2, 4])
  expect(queries).toEqual([[1, 2]])
})

test('no caller fails because of another, where each reads alone after a failure', async () => {
  const { queries, lookUp } = createDoubler({})
  const db = connection()
  const answers = await Promise.allSettled([lookUp(db, 1), lookUp(db, 13), lookUp(db, 2)])
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(queries).toEqual([[1, 13, 2], [1], [13], [2]])
  await expect(lookUp(db, 13)).rejects.toThrow('unlucky')
  expect(queries).toHaveLength(5)
})
