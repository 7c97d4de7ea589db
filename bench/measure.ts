import { cpuMilliseconds } from './cpu-time.ts'

/** The measured homeserver and its processes. */
export type Target = { url: string; pids: readonly number[] }

/** Runs `work` once, and returns its duration and the CPU time of the server's processes, in milliseconds. */
export async function measure(target: Target, work: () => Promise<void>): Promise<{ wall: number; cpu: number }> {
  const cpu = cpuMilliseconds(target.pids)
  const started = performance.now()
  await work()
  const wall = performance.now() - started
  return { wall, cpu: cpuMilliseconds(target.pids) - cpu }
}

/** Runs `count` tasks, `parallel` of them concurrently. */
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

/** Returns the value below which the share `p` of the values is. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
