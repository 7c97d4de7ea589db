import { readFileSync, writeFileSync } from 'node:fs'

/** The most memory (RSS) that a process has had, in MiB, since it began or `forgetPeak`. */
export function peakMemory(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1024)
}

/** The peak counts from now on. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}
