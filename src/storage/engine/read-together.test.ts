import { expect, test } from 'vitest'
import type { Db } from './database.ts'
import { readTogether } from './read-together.ts'

const connection = () => ({ sql: {} }) as unknown as Db

/** Returns the double of numbers; a query that contains 13 fails. */
function createReader({ most = 10, of = 'turn' as const }: { most?: number; of?: 'turn' | 'arrivals' } = {}) {
  const queries: number[][] = []
  const read = readTogether<number, number>(
    async (_, wanted) => {
      queries.push([...wanted])
      if (wanted.includes(13)) throw new Error('unlucky')
      return wanted.map((number) => 2 * number)
    },
    { most, of },
  )
  return { queries, read }
}

test('who asks in the same turn shares a query, up to the most that one takes', async () => {
  const { queries, read } = createReader({ most: 2 })
  const db = connection()
  expect(await Promise.all([read(db, 1), read(db, 1), Promise.resolve().then(() => read(db, 3))])).toEqual([2, 2, 6])
  expect(queries).toEqual([[1, 1], [3]])
  expect(await read(db, 4)).toBe(8)
  expect(queries).toHaveLength(3)
})

test('what arrives one after the other before the event loop turns shares a query too', async () => {
  const { queries, read } = createReader({ of: 'arrivals' })
  const db = connection()
  const later = new Promise((resolve) => process.nextTick(() => process.nextTick(() => resolve(read(db, 2)))))
  expect(await Promise.all([read(db, 1), later])).toEqual([2, 4])
  expect(queries).toEqual([[1, 2]])
})

test('nobody fails by what another wants', async () => {
  const { read } = createReader()
  const db = connection()
  const answers = await Promise.allSettled([read(db, 1), read(db, 13), read(db, 2)])
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('connections, and so transactions, share nothing', async () => {
  const { queries, read } = createReader()
  await Promise.all([read(connection(), 1), read(connection(), 2)])
  expect(queries).toEqual([[1], [2]])
})
