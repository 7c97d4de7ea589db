import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/**
 * Returns the CPU time of some processes and all their descendants so far, in milliseconds, including dead children.
 */
export function cpuMilliseconds(pids: readonly number[]): number {
  const ticks = [...withDescendants(pids).values()].reduce((sum, own) => sum + own, 0)
  return (ticks * 1000) / TICKS_PER_SECOND
}

/**
 * Returns the memory of some processes and all their descendants in MiB. What several share, such as the buffers of
 * PostgreSQL, counts once.
 */
export function proportionalMiB(pids: readonly number[]): number {
  return [...withDescendants(pids).keys()].reduce((sum, pid) => sum + procMiB(`${pid}/smaps_rollup`, 'Pss'), 0)
}

/** Finds processes and all their descendants, each with its CPU time in ticks. */
function withDescendants(pids: readonly number[]): Map<number, number> {
  const children = new Map<number, number[]>()
  const ticks = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) && readStat(entry)
    if (!stat) continue
    ticks.set(Number(entry), stat.ticks)
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(entry)])
  }
  const found = new Map<number, number>()
  const pending = [...pids]
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    found.set(pid, ticks.get(pid) ?? 0)
    pending.push(...(children.get(pid) ?? []))
  }
  return found
}

/** Returns the resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  return procMiB(`${pid}/status`, 'VmRSS')
}

/** Returns the peak resident memory of a process in MiB. */
export function peakMiB(pid: number): number {
  return procMiB(`${pid}/status`, 'VmHWM')
}

function procMiB(file: string, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${file}`, 'utf8'))
  return Number(line?.[1] ?? 0) / 1024
}

function readStat(pid: string): { parent: number; ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name, which may contain spaces: state, ppid, …; utime, stime, cutime, cstime are fields 14 to 17.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return { parent: Number(fields[1]), ticks }
  } catch {
    return undefined
  }
}
