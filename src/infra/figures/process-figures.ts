import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Of a process since they were last read. */
export type ProcessFigures = {
  cpu_seconds: number
  memory_bytes: number
  event_loop_delay_p50: number
  event_loop_delay_p99: number
}

const MICROSECONDS = 1e6
const RESOLUTION_MS = 20

/** Watches CPU time, memory and event loop of this process. */
export function watchProcessFigures(): { read(): ProcessFigures; close(): void } {
  const loop = watchEventLoop(RESOLUTION_MS)
  let cpu = process.cpuUsage()
  return {
    read() {
      const { user, system } = process.cpuUsage(cpu)
      cpu = process.cpuUsage()
      const delays = { event_loop_delay_p50: loop.delay(50), event_loop_delay_p99: loop.delay(99) }
      loop.reset()
      return { cpu_seconds: (user + system) / MICROSECONDS, memory_bytes: process.memoryUsage.rss(), ...delays }
    },
    close: loop.close,
  }
}

/** The delay of timers, measured every `resolution` milliseconds. */
export type EventLoopWatch = {
  /** Returns a percentile in seconds since the last reset. */
  delay(percent: number): number
  reset(): void
  close(): void
}

/** Watches the event loop. Node's histogram has the time from one timer to the next, so that of the timer is subtracted. */
export function watchEventLoop(resolution: number): EventLoopWatch {
  const loop = monitorEventLoopDelay({ resolution })
  loop.enable()
  return {
    delay: (percent) => (loop.count === 0 ? 0 : Math.max(0, loop.percentile(percent) / 1e9 - resolution / 1000)),
    reset: () => loop.reset(),
    close: () => void loop.disable(),
  }
}
