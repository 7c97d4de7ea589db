import { expect, test } from 'vitest'
import { createSpool, type SpooledText } from './spool.ts'

test('texts come back in any order, whether they still are in memory or not', async () => {
  const spool = createSpool()
  const texts = Array.from({ length: 40 }, (_, i) => `${i} ${'é'.repeat(i * 5000)}`)
  const places: SpooledText[] = []
  for (let start = 0; start < texts.length; start += 4) places.push(...(await spool.add(texts.slice(start, start + 4))))
  const [inMemory, inFile] = [[39], [0, 17, 2]]
  for (const wanted of [inMemory, inFile, [39, 0, 17, 38, 2, 39], [...texts.keys()].reverse()]) {
    expect(await spool.read(wanted.map((i) => places[i]!))).toEqual(wanted.map((i) => texts[i]))
  }
  await spool.close()
})

test('nothing at all is a spool too', async () => {
  const spool = createSpool()
  expect(await spool.add([])).toEqual([])
  const [place] = await spool.add(['a'])
  expect(await spool.read([place!, place!])).toEqual(['a', 'a'])
  expect(await spool.read([])).toEqual([])
  await spool.close()
})
