import { expect, test } from 'vitest'
import { createActiveWork } from './active-work.ts'

test('the work of a key is active until it ends, and begins only once in that time', async () => {
  const active = createActiveWork<string, number>()
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const work = () => {
    runs++
    return gate.promise
  }
  active.begin('a', 1, work)
  active.begin('a', 2, work)
  active.begin('b', 3, async () => {})
  expect([active.size, active.keys(), active.abouts(), active.has('a')]).toEqual([2, ['a', 'b'], [1, 3], true])
  await active.ended('b')
  expect([active.keys(), active.ended('b')]).toEqual([['a'], undefined])
  gate.resolve()
  await active.ended('a')
  expect([active.size, runs]).toEqual([0, 1])
})

test('idle waits for work that begins while it waits', async () => {
  const active = createActiveWork<number>()
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  active.begin(1, undefined, () => first.promise.then(() => active.begin(2, undefined, () => second.promise)))
  let isIdle = false
  const idle = active.idle().then(() => (isIdle = true))
  first.resolve()
  await new Promise(setImmediate)
  expect([isIdle, active.keys()]).toEqual([false, [2]])
  second.resolve()
  await idle
  expect(active.size).toBe(0)
})
