import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Child, createSupervisor, type Exit } from './supervisor.ts'

type Fake = Child & { place: number; serve(): void; end(exit?: Partial<Exit>): void; log: string[] }

let children: Fake[]
let lines: string[]
beforeEach(() => {
  vi.useFakeTimers()
  children = []
  lines = []
})
afterEach(() => vi.useRealTimers())

function launch(place: number): Fake {
  const ready = Promise.withResolvers<boolean>()
  const ended = Promise.withResolvers<Exit>()
  const log: string[] = []
  const child: Fake = {
    ...{ place, pid: 100 + children.length, ready: ready.promise, ended: ended.promise, log },
    drain: () => log.push('drain'),
    kill: (signal) => log.push(signal),
    serve: () => ready.resolve(true),
    end(exit = {}) {
      ready.resolve(false)
      ended.resolve({ code: 0, signal: null, ...exit })
    },
  }
  children.push(child)
  return child
}

const supervisorOf = (count: number) => createSupervisor(count, { launch, report: (line) => lines.push(line) })
const settle = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds)

/** Starts a supervisor whose processes all serve. */
async function running(count: number) {
  const supervisor = supervisorOf(count)
  children[0]!.serve()
  await settle()
  for (const child of children) child.serve()
  await settle()
  return supervisor
}

const places = () => children.map(({ place }) => place)

test('the first process starts alone, the others when it serves', async () => {
  supervisorOf(3)
  await settle()
  expect(places()).toEqual([0])
  children[0]!.serve()
  await settle()
  expect(places()).toEqual([0, 1, 2])
})

test('a first process that cannot start ends the supervisor with its exit code', async () => {
  const supervisor = supervisorOf(3)
  children[0]!.end({ code: 2 })
  expect(await supervisor.ended).toBe(2)
  expect(children).toHaveLength(1)
})

test('one that is killed while it starts ends the supervisor with 1', async () => {
  const supervisor = supervisorOf(1)
  children[0]!.end({ code: null, signal: 'SIGKILL' })
  expect(await supervisor.ended).toBe(1)
})

test('a process that dies is replaced: at once after a minute, otherwise with a back-off', async () => {
  await running(2)
  await settle(60_000)
  children[1]!.end({ code: null, signal: 'SIGKILL' })
  await settle()
  expect(lines).toEqual(['Process 101 ended by SIGKILL. Another one starts in 0 s.'])
  for (const delay of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    const count = children.length
    children.at(-1)!.end({ code: 1 })
    await settle(delay - 1)
    expect(children).toHaveLength(count)
    await settle(1)
    expect(children).toHaveLength(count + 1)
    expect(children.at(-1)!.place).toBe(1)
  }
})

test('a rolling restart replaces one process after the other, each after the new one serves', async () => {
  const supervisor = await running(2)
  const done = supervisor.restart()
  await settle()
  const [first, second, third] = children as [Fake, Fake, Fake]
  expect([third.place, first.log]).toEqual([0, []])
  third.serve()
  await settle()
  expect([first.log, second.log, children.length]).toEqual([['drain'], [], 3])
  first.end()
  await settle()
  expect(children[3]!.place).toBe(1)
  children[3]!.serve()
  await settle()
  second.end()
  await done
  expect(children).toHaveLength(4)
  expect(lines.at(-1)).toBe('Rolling restart done.')
})

test('a new process that cannot start ends the rolling restart and leaves the others alone', async () => {
  const supervisor = await running(2)
  const done = supervisor.restart()
  children[2]!.end({ code: 2 })
  await done
  await settle(60_000)
  expect(children.map(({ log }) => log)).toEqual([[], [], []])
  expect(lines.at(-1)).toContain('could not start')
})

test('a process that does not drain is killed', async () => {
  const supervisor = await running(1)
  void supervisor.restart()
  children[1]!.serve()
  await settle(60_000)
  expect(children[0]!.log).toEqual(['drain', 'SIGKILL'])
})

test('a signal during a rolling restart begins one more afterwards', async () => {
  const supervisor = await running(1)
  const both = [supervisor.restart(), supervisor.restart(), supervisor.restart()]
  for (const at of [1, 2]) {
    children[at]!.serve()
    await settle()
    children[at - 1]!.end()
    await settle()
  }
  await Promise.all(both)
  expect(children).toHaveLength(3)
})

test('a stop reaches every process, also new ones, and waits for them', async () => {
  const supervisor = await running(2)
  void supervisor.restart()
  supervisor.stop('SIGTERM')
  expect(children.map(({ log }) => log)).toEqual([['SIGTERM'], ['SIGTERM'], ['SIGTERM']])
  for (const child of children) child.end()
  expect(await supervisor.ended).toBe(0)
  await settle(60_000)
  expect(children).toHaveLength(3)
})
