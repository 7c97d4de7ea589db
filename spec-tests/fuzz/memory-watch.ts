import type { TestHearth } from '../harness/hearth.ts'
import { type MemoryUsage, memoryWithoutGarbage } from '../harness/inspector.ts'

/** The memory of the idle processes after garbage collection: without that, a heap keeps its former size. */
export type Memory = { byProcess: MemoryUsage[]; rss: number }

/** The allowed growth since the warm-up. */
const TOLERANCE = 0.2
/** Work in progress at the last response may take this long. */
const SETTLING_MS = 90_000
const PAUSE_MS = 3_000
const MIB = 1024 * 1024

export async function measureMemory(processes: readonly TestHearth[]): Promise<Memory> {
  const byProcess = await Promise.all(processes.map(memoryWithoutGarbage))
  return { byProcess, rss: byProcess.reduce((sum, { rss }) => sum + rss, 0) }
}

/** Measures until the memory is within the tolerance, or has stopped shrinking for a while. */
export async function measureSettled(processes: readonly TestHearth[], before: Memory): Promise<Memory> {
  const end = Date.now() + SETTLING_MS
  for (;;) {
    const memory = await measureMemory(processes)
    if (growth(before, memory) <= TOLERANCE || Date.now() > end) return memory
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

export function hasGrown(before: Memory, after: Memory): boolean {
  return growth(before, after) > TOLERANCE
}

function growth(before: Memory, after: Memory): number {
  return after.rss / before.rss - 1
}

export function describeMemory(before: Memory, after: Memory): string {
  const percent = (growth(before, after) * 100).toFixed(1)
  return [
    `Memory at rest after collecting garbage, allowed to grow by ${TOLERANCE * 100} %: ${percent} %`,
    `  after the warm-up: ${describe(before)}`,
    `  at the end:        ${describe(after)}`,
  ].join('\n')
}

function describe({ byProcess }: Memory): string {
  const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`
  return byProcess
    .map(({ rss, heapUsed, external }) => `RSS ${mib(rss)} (JavaScript ${mib(heapUsed)}, outside ${mib(external)})`)
    .join('; ')
}
