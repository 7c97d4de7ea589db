import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Another running process uses the embedded data folder. */
export class DataFolderLockedError extends Error {
  constructor(folder: string, pid: number) {
    super(
      `The data folder ${folder} is in use by another Hearth (process ${pid}). Stop that one first; the embedded database allows one process. For several, set database.url.`,
    )
    this.name = 'DataFolderLockedError'
  }
}

/**
 * Locks an embedded data folder for this process; call the returned function to release it. A lock of a dead process is
 * taken over.
 */
export function lockDataFolder(folder: string): () => void {
  const file = join(folder, 'hearth.lock')
  if (!create(file)) {
    const [pid, start = ''] = readFileSync(file, 'utf8').trim().split(' ')
    const holder = Number(pid)
    if (isHeld(holder, start)) throw new DataFolderLockedError(folder, holder)
    unlinkSync(file)
    if (!create(file)) throw new DataFolderLockedError(folder, Number.parseInt(readFileSync(file, 'utf8'), 10))
  }
  return () => unlinkSync(file)
}

function create(file: string): boolean {
  try {
    const handle = openSync(file, 'wx', 0o600)
    writeSync(handle, `${process.pid} ${startOf(process.pid)}\n`)
    closeSync(handle)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** A process may have the pid of a dead holder: in a container, each has the same. Only its start time differs. */
function isHeld(pid: number, start: string): boolean {
  if (pid === process.pid) return start !== '' && startOf(pid) === start
  return isAlive(pid) && (start === '' || startOf(pid) === start)
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Returns the kernel's start time of a process, so that a reused pid does not hold the lock. Empty where there is no
 * /proc.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
