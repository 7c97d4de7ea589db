import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'

/** In bytes; of the memory, that of the container if it has a limit. */
export type MachineFigures = {
  machine_memory_bytes: number
  machine_memory_used: number
  disk_bytes?: number
  disk_used?: number
}

/** Returns the figures of this machine, and of the disk with a folder if that exists. */
export async function readMachineFigures(folder: string | undefined): Promise<MachineFigures> {
  const limit = process.constrainedMemory()
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem()
  const figures = {
    machine_memory_bytes: memory,
    machine_memory_used: Math.max(0, memory - process.availableMemory()),
  }
  const disk = folder === undefined ? undefined : await statfs(folder).catch(() => undefined)
  if (!disk || disk.blocks === 0) return figures
  // As `df`: space that only root may use does not count.
  const used = (disk.blocks - disk.bfree) * disk.bsize
  return { ...figures, disk_bytes: used + disk.bavail * disk.bsize, disk_used: used }
}
