import { cpuMilliseconds } from './cpu-time.ts'

/** What is measured: a homeserver and the processes that make it up. */
export type Target = { url: string; pids: readonly number[] }

/** Runs `work` once and tells how long it took and what CPU time the server's processes used, in milliseconds. */
export async function measure(target: Target, work: () => Promise<void>): Promise<{ wall: number; cpu: number }> {
  const cpu = cpuMilliseconds(target.pids)
  const started = performance.now()
  await work()
  const wall = performance.now() - started
  return { wall, cpu: cpuMilliseconds(target.pids) - cpu }
}

/** Runs `count` tasks, `parallel` of them at a time. */
export async function inParallel(
  count: number,
  parallel: number,
  task: (number: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < count) await task(next++)
    }),
  )
}

/** The value that the share `p` of the values is below. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
