import { backOff } from '../infra/concurrency/back-off.ts'

/** How a process has ended. */
export type Exit = { code: number | null; signal: NodeJS.Signals | null }

/** A process of the server. */
export type Child = {
  pid: number
  /** Whether it serves requests; false: it ended before. */
  ready: Promise<boolean>
  ended: Promise<Exit>
  /** Stops it without a failed request: it stops accepting connections, and closes those it has after a response. */
  drain(): void
  kill(signal: NodeJS.Signals): void
}

export type Supervisor = {
  /** Resolves with the exit code when all processes have ended. */
  ended: Promise<number>
  /** Replaces one process after the other. During a rolling restart: does so once more afterwards. */
  restart(): Promise<void>
  /** Stops all processes; those that start, too. */
  stop(signal: NodeJS.Signals): void
}

/** A process that ran for this long starts again at once. */
const STABLE_MS = 60_000
const BACK_OFF = { first: 1000, longest: 30_000 }
/** Longer than a graceful stop takes. */
const DRAIN_MS = 60_000

type Place = { child: Child | undefined; failures: number; retry: NodeJS.Timeout | undefined }

type State = {
  places: Place[]
  alive: Set<Child>
  serving: Map<Child, { since: number }>
  exitCode: number
  isStopping: boolean
  launch(place: number): Child
  report(line: string): void
  end(exitCode: number): void
}

/**
 * Keeps `count` processes running. The first one starts alone, so that its mistakes show once and it migrates the
 * database. The supervisor ends when a process cannot start and no other serves requests.
 */
export function createSupervisor(count: number, actions: Pick<State, 'launch' | 'report'>): Supervisor {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  const places: Place[] = Array.from({ length: count }, () => ({ child: undefined, failures: 0, retry: undefined }))
  const state: State = {
    ...{ places, alive: new Set(), serving: new Map(), exitCode: 0, isStopping: false },
    ...{ ...actions, end },
  }
  let restarting: Promise<void> | undefined
  let isRestartAskedAgain = false

  async function restart(): Promise<void> {
    isRestartAskedAgain = restarting !== undefined
    restarting ??= restartEach(state).finally(() => {
      restarting = undefined
    })
    await restarting
    if (isRestartAskedAgain && !state.isStopping) await restart()
  }

  places[0]!.child = launchAt(state, 0)
  return { ended, restart, stop: (signal) => stop(state, signal) }
}

function launchAt(state: State, at: number): Child {
  const child = state.launch(at)
  state.alive.add(child)
  void child.ended.then((exit) => handleEnd(state, { at, child, exit }))
  void child.ready.then((isReady) => {
    if (!isReady || !state.alive.has(child)) return
    state.serving.set(child, { since: performance.now() })
    if (!state.isStopping) fillPlaces(state)
  })
  return child
}

function fillPlaces(state: State): void {
  for (const [at, place] of state.places.entries()) {
    if (!place.child && !place.retry) place.child = launchAt(state, at)
  }
}

function handleEnd(state: State, { at, child, exit }: { at: number; child: Child; exit: Exit }): void {
  const { alive, serving } = state
  const served = serving.get(child)
  alive.delete(child)
  serving.delete(child)
  if (state.isStopping) {
    if (alive.size === 0) state.end(state.exitCode)
    return
  }
  const place = state.places[at]!
  if (place.child !== child) return
  place.child = undefined
  if (!served && serving.size === 0) {
    // The process has said why it cannot start.
    state.exitCode = exit.code || 1
    stop(state, 'SIGTERM')
    return
  }
  place.failures = served && performance.now() - served.since >= STABLE_MS ? 0 : place.failures + 1
  const delay = place.failures === 0 ? 0 : backOff(place.failures - 1, BACK_OFF)
  state.report(`Process ${child.pid} ended ${describe(exit)}. Another one starts in ${delay / 1000} s.`)
  place.retry = setTimeout(() => {
    place.retry = undefined
    place.child = launchAt(state, at)
  }, delay)
}

function stop(state: State, signal: NodeJS.Signals): void {
  state.isStopping = true
  for (const { retry } of state.places) clearTimeout(retry)
  for (const child of state.alive) child.kill(signal)
  if (state.alive.size === 0) state.end(state.exitCode)
}

async function restartEach(state: State): Promise<void> {
  const { places, report } = state
  report('Rolling restart begins.')
  for (const [at, place] of places.entries()) {
    const next = launchAt(state, at)
    const isReady = await next.ready
    if (state.isStopping) return
    if (!isReady) {
      report('Rolling restart ended: the new process could not start. The remaining processes continue.')
      return
    }
    await replace(place, next)
  }
  report('Rolling restart done.')
}

async function replace(place: Place, next: Child): Promise<void> {
  clearTimeout(place.retry)
  const old = place.child
  Object.assign(place, { child: next, failures: 0, retry: undefined })
  if (!old) return
  const force = setTimeout(() => old.kill('SIGKILL'), DRAIN_MS)
  old.drain()
  await old.ended
  clearTimeout(force)
}

function describe({ code, signal }: Exit): string {
  return signal === null ? `with exit code ${code}` : `by ${signal}`
}
