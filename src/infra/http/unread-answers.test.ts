import { pino } from 'pino'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createUnreadAnswers } from './unread-answers.ts'

function setUp(limits = { ofOwner: 100, ofAll: 300, timeout: 1000 }) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const answers = createUnreadAnswers({ clock: { now: () => Date.now() }, logger: pino({ level: 'silent' }) }, limits)
  onTestFinished(() => answers.stop())
  const gone: string[] = []
  const progress = new Map<string, number>()
  return {
    gone,
    read: (name: string) => progress.set(name, (progress.get(name) ?? 0) + 1),
    hold: (name: string, owner: string, bytes: number) =>
      answers.hold({ owner, bytes, taken: () => progress.get(name) ?? 0, abandon: () => gone.push(name) }),
  }
}

test('of an owner who has too much, the first go', () => {
  const { hold, gone } = setUp()
  hold('a1', 'a', 60)
  hold('b1', 'b', 60)
  hold('a2', 'a', 30)
  hold('a3', 'a', 30)
  expect(gone).toEqual(['a1'])
  hold('a4', 'a', 90)
  expect(gone).toEqual(['a1', 'a2', 'a3'])
})

test('a single one may be larger', () => {
  const { hold, gone } = setUp()
  hold('a1', 'a', 500)
  expect(gone).toEqual([])
})

test('answers that were read free their space', () => {
  const { hold, gone } = setUp()
  const release = hold('a1', 'a', 90)
  release()
  release()
  hold('a2', 'a', 90)
  expect(gone).toEqual([])
})

test('of all, those go that have not been read for the longest time', () => {
  const { hold, gone, read } = setUp()
  for (const owner of ['a', 'b', 'c']) hold(owner, owner, 90)
  vi.advanceTimersByTime(500)
  read('a')
  vi.advanceTimersByTime(100)
  hold('d', 'd', 90)
  expect(gone).toEqual(['b'])
})

test('one that nobody reads goes when the time is over, and one that is read slowly stays', () => {
  const { hold, gone, read } = setUp()
  hold('stalled', 'a', 10)
  hold('slow', 'a', 10)
  for (let second = 0; second < 5; second++) {
    read('slow')
    vi.advanceTimersByTime(900)
  }
  expect(gone).toEqual(['stalled'])
})
