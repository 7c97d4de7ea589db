import { expect, test } from 'vitest'
import { createSpool } from './spool.ts'

test('texts come back in any order, whether they still are in memory or not', async () => {
  const spool = createSpool()
  const texts = Array.from({ length: 40 }, (_, i) => `${i} ${'é'.repeat(i * 5000)}`)
  const places = []
  for (let start = 0; start < texts.length; start += 4) places.push(...(await spool.add(texts.slice(start, start + 4))))
  for (const i of [39, 0, 17, 38, 2, 39]) expect(await spool.read(places[i]!)).toBe(texts[i])
  await spool.close()
})

test('nothing at all is a spool too', async () => {
  const spool = createSpool()
  expect(await spool.add([])).toEqual([])
  const [place] = await spool.add(['a'])
  expect(await spool.read(place!)).toBe('a')
  await spool.close()
})
