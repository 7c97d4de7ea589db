import cluster from 'node:cluster'
import { once } from 'node:events'
import { nextStopSignal, surviveClosedPipes } from './stop-signals.ts'
import { type Child, createSupervisor } from './supervisor.ts'

/** Messages between the supervisor and its processes. */
export const READY = 'ready'
export const DRAIN = 'drain'

/** Returns the place of this process among those of its supervisor, from 0; 0 without a supervisor. */
export async function placeOfProcess(): Promise<number> {
  if (!cluster.isWorker) return 0
  // Node keeps messages until there is a listener.
  const [place] = await once(process, 'message')
  return place
}

/**
 * Runs this command line in `count` processes that share their listening sockets, until a signal stops them; returns the
 * exit code. Reads no configuration and keeps no state: docs/decisions/0026-processes.md.
 */
export async function supervise(count: number): Promise<number> {
  surviveClosedPipes()
  // The supervisor accepts connections. If a process no longer listens, it passes them to another one.
  cluster.schedulingPolicy = cluster.SCHED_RR
  const report = (line: string) => console.error(line)
  const supervisor = createSupervisor(count, { launch, report })
  const restart = () => void supervisor.restart()
  process.on('SIGHUP', restart)
  void nextStopSignal(() => supervisor.stop('SIGKILL')).then(() => supervisor.stop('SIGTERM'))
  return supervisor.ended
}

function launch(place: number): Child {
  const worker = cluster.fork()
  const ended = once(worker, 'exit').then(([code, signal]) => ({ code, signal }))
  const ready = new Promise<boolean>((resolve) => {
    worker.on('message', (message) => message === READY && resolve(true))
    void ended.then(() => resolve(false))
  })
  // A message to a process that has just ended fails; its end is handled.
  worker.on('error', () => {})
  worker.send(place)
  return {
    pid: worker.process.pid!,
    ready,
    ended,
    drain: () => worker.isConnected() && worker.send(DRAIN),
    kill: (signal) => void worker.process.kill(signal),
  }
}
