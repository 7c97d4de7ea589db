import { expect, test } from 'vitest'
import type { ServerName } from '../../../core/ids.ts'
import { CrowdedOutError, createServerTurns } from './server-turns.ts'

const server = (name: string) => name as ServerName
const never = () => new Promise<never>(() => {})

/** Fills the places of some servers, and returns how often each has been crowded out. */
function fill(turns: ReturnType<typeof createServerTurns>, count: number, each: number): Map<string, number> {
  const crowdedOut = new Map<string, number>()
  for (let nth = 0; nth < each; nth++) {
    for (let place = 0; place < count; place++) {
      const name = `hostile${place}`
      turns(server(name), never)?.catch((error) => {
        if (error instanceof CrowdedOutError) crowdedOut.set(name, (crowdedOut.get(name) ?? 0) + 1)
      })
    }
  }
  return crowdedOut
}

test('servers that fill all places do not keep another one out', async () => {
  const turns = createServerTurns({ each: 8, waiting: 100, total: 500 })
  const crowdedOut = fill(turns, 20, 108)
  const answers = Array.from({ length: 24 }, (_, nth) => turns(server('honest'), async () => nth))
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 24 }, (_, nth) => nth))
  const lost = [...crowdedOut.values()].reduce((sum, each) => sum + each, 0)
  expect(lost).toBeGreaterThan(0)
  expect(Math.max(...crowdedOut.values())).toBeLessThanOrEqual(Math.ceil(24 / 20) + 1)
})

test('a server takes no place from those that have no more than it', () => {
  const turns = createServerTurns({ each: 1, waiting: 10, total: 6 })
  fill(turns, 2, 3)
  expect(turns(server('hostile0'), never)).toBeUndefined()
  const first = turns(server('honest'), never)
  expect(first).toBeDefined()
})

test('work that has begun keeps its place, and one that ends gives it to the next', async () => {
  const turns = createServerTurns({ each: 1, waiting: 10, total: 2 })
  const running = Promise.withResolvers<string>()
  const first = turns(server('a'), () => running.promise)
  const second = turns(server('a'), async () => 'second')
  const other = turns(server('b'), async () => 'other')
  await expect(second).rejects.toThrow(CrowdedOutError)
  expect(await other).toBe('other')
  running.resolve('first')
  expect(await first).toBe('first')
  expect(await turns(server('a'), async () => 'third')).toBe('third')
})

test('a server has no more than its places, however many are free', () => {
  const turns = createServerTurns({ each: 2, waiting: 3, total: 100 })
  const given = Array.from({ length: 10 }, () => turns(server('a'), never))
  expect(given.filter(Boolean)).toHaveLength(5)
})
