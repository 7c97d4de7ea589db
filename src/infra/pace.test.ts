import { expect, test } from 'vitest'
import { createPace } from './pace.ts'

const nextTurn = () => new Promise(setImmediate)

test('in one turn of the event loop only some begin, in order', async () => {
  const { mayBegin, haveBegun } = createPace(2)
  const events: string[] = []
  const others = (async () => {
    for (let turn = 1; turn <= 3; turn++) {
      await nextTurn()
      events.push(`turn ${turn}`)
    }
  })()
  for (const number of [1, 2, 3, 4, 5]) void mayBegin().then(() => events.push(`begin ${number}`))
  const all = haveBegun().then(() => events.push('all'))
  await Promise.all([others, all])
  expect(events).toEqual(['turn 1', 'begin 1', 'begin 2', 'turn 2', 'begin 3', 'begin 4', 'turn 3', 'begin 5', 'all'])
})

test('one alone begins at once, and is waited for by nobody', async () => {
  const { mayBegin, haveBegun } = createPace(2)
  await haveBegun()
  await mayBegin()
  await haveBegun()
})
