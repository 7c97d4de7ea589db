import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../engine/database.ts'

/** Not copied with the rest: the lock of a process, and the log, which has to be copied last. */
const LEFT_OUT = ['postmaster.pid', 'pg_wal']
/** Copied after all other files, as PostgreSQL's manual says. */
const CONTROL = join('global', 'pg_control')
const LABEL = 'hearth'

/**
 * Copies the files of the open embedded database while it is in use, as a base backup of PostgreSQL: the copy opens in
 * the state that the database has at the end. Throws if so much was written in the meantime that the log is
 * incomplete.
 */
export async function copyEmbedded(database: Database, { from, to }: { from: string; to: string }): Promise<void> {
  await sql`select pg_backup_start(${LABEL}, true)`.execute(database.sql)
  let isOver = false
  const stop = async () => {
    isOver = true
    const { rows } = await sql<{ labelfile: string }>`select labelfile from pg_backup_stop(false)`.execute(database.sql)
    return rows[0]!.labelfile
  }
  try {
    await copyFolder(from, to, [...LEFT_OUT, CONTROL])
    await copyIfThere(join(from, CONTROL), join(to, CONTROL))
    const label = await stop()
    await copyFolder(join(from, 'pg_wal'), join(to, 'pg_wal'), [])
    const first = /\(file ([0-9A-F]+)\)/.exec(label)?.[1]
    if (first === undefined || !(await stat(join(to, 'pg_wal', first)).catch(() => undefined))) {
      throw new Error('the log of the database was recycled during the copy')
    }
    await writeFile(join(to, 'backup_label'), label)
  } finally {
    if (!isOver) await stop()
  }
}

/** Copies a folder, without some paths in it. Files that vanish in the meantime belong to dropped or temporary data. */
async function copyFolder(from: string, to: string, leftOut: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry
    if (leftOut.includes(name)) continue
    const within = leftOut.filter((path) => path.startsWith(join(name, '/'))).map((path) => path.slice(name.length + 1))
    if (entry.isDirectory()) await copyFolder(join(from, name), join(to, name), within)
    else if (entry.isFile()) await copyIfThere(join(from, name), join(to, name))
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  // Shares the blocks where the file system can.
  await copyFile(from, to, constants.COPYFILE_FICLONE).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}
