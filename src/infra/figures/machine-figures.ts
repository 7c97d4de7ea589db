import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'

/** In bytes; of the memory, that of the container if it has a limit. */
export type MachineFigures = {
  machine_memory_bytes: number
  machine_memory_used: number
  disk_bytes?: number
  disk_used?: number
}

/** Returns the figures of this machine, and of the fullest disk with one of the folders. */
export async function readMachineFigures(folders: readonly string[]): Promise<MachineFigures> {
  const limit = process.constrainedMemory()
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem()
  const disks = await Promise.all([...new Set(folders)].map(readDisk))
  const fullest = disks.reduce((full, disk) => (partOf(disk) > partOf(full) ? disk : full), {})
  return {
    machine_memory_bytes: memory,
    machine_memory_used: Math.max(0, memory - process.availableMemory()),
    ...fullest,
  }
}

type Disk = Pick<MachineFigures, 'disk_bytes' | 'disk_used'>

/** A folder that does not exist yet has no disk. */
async function readDisk(folder: string): Promise<Disk> {
  const disk = await statfs(folder).catch(() => undefined)
  if (!disk || disk.blocks === 0) return {}
  // As `df`: space that only root may use does not count.
  const used = (disk.blocks - disk.bfree) * disk.bsize
  return { disk_bytes: used + disk.bavail * disk.bsize, disk_used: used }
}

function partOf({ disk_bytes = 0, disk_used = 0 }: Disk): number {
  return disk_bytes === 0 ? -1 : disk_used / disk_bytes
}
