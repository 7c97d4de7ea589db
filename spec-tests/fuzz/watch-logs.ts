import type { TestHearth } from '../harness/hearth.ts'
import type { Findings } from './findings.ts'
import { parse } from './judge.ts'

/**
 * Records each error that the processes log from now on, once per place in the source, and each process that has
 * exited.
 */
export function watchLogs(processes: readonly TestHearth[], findings: Findings): { look(): void } {
  const read = new Map(processes.map((hearth) => [hearth, hearth.output().length]))

  function lookAt(hearth: TestHearth): void {
    const output = hearth.output()
    const end = output.lastIndexOf('\n') + 1
    for (const line of output.slice(read.get(hearth), end).split('\n')) noteLine(line)
    read.set(hearth, Math.max(end, read.get(hearth)!))
    if (!isRunning(hearth.pid)) findings.add({ kind: 'a process has ended', detail: output.slice(-3000) })
  }

  function noteLine(line: string): void {
    const logged = line.startsWith('{') ? parse(line) : undefined
    if (line === '' || logged?.level === 'warn' || BY_INSPECTOR.test(line)) return
    const error = (logged?.err ?? {}) as { type?: string; stack?: string }
    const place = /\/src\/([\w./-]+:\d+)/.exec(error.stack ?? '')?.[1] ?? ''
    const kind = logged ? `logs "${logged.msg}": ${error.type ?? ''} at ${place}` : 'prints what is no log line'
    findings.add({ kind, detail: line })
  }

  return { look: () => processes.forEach(lookAt) }
}

const BY_INSPECTOR = /^(Debugger|For help, see: )/

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
