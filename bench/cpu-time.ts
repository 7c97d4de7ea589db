import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/**
 * Returns the CPU time of some processes and all their descendants so far, in milliseconds, including dead children.
 */
export function cpuMilliseconds(pids: readonly number[]): number {
  const parents = new Map<number, number[]>()
  const own = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) && readStat(entry)
    if (!stat) continue
    own.set(Number(entry), stat.ticks)
    parents.set(stat.parent, [...(parents.get(stat.parent) ?? []), Number(entry)])
  }
  const pending = [...pids]
  let ticks = 0
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    ticks += own.get(pid) ?? 0
    pending.push(...(parents.get(pid) ?? []))
  }
  return (ticks * 1000) / TICKS_PER_SECOND
}

/** Returns the resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  return statusMiB(pid, 'VmRSS')
}

/** Returns the peak resident memory of a process in MiB. */
export function peakMiB(pid: number): number {
  return statusMiB(pid, 'VmHWM')
}

function statusMiB(pid: number, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
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
