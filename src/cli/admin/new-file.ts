import { existsSync, rmSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { CommandError } from '../command.ts'
import { onInterruption } from './on-interruption.ts'

/** Throws CommandError if a file or folder exists already. */
function requireNew(path: string): void {
  if (existsSync(path)) throw new CommandError(`${path} exists already. Choose another name.`)
}

/**
 * Writes a new file or folder: `write` fills `PATH.partial`, which gets its name when it is whole. After a failure or an
 * interruption it is deleted. Throws CommandError if the name is taken, or another command is writing it.
 */
export async function writeNew<Result>(
  path: string,
  kind: 'file' | 'folder',
  write: (partial: string) => Promise<Result>,
): Promise<Result> {
  requireNew(path)
  const partial = `${path}.partial`
  await createExclusively(partial, kind)
  const remove = () => rmSync(partial, { recursive: true, force: true })
  const forget = onInterruption(remove)
  try {
    const result = await write(partial)
    requireNew(path)
    await rename(partial, path)
    return result
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  } finally {
    forget()
  }
}

async function createExclusively(partial: string, kind: 'file' | 'folder'): Promise<void> {
  try {
    if (kind === 'folder') await mkdir(partial, { mode: 0o700 })
    else await (await open(partial, 'wx', 0o600)).close()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new CommandError(`Cannot write ${partial}: ${message}.`)
    throw new CommandError(
      `${partial} exists: another command is writing it, or was killed. Wait for it, or delete ${partial}.`,
    )
  }
}
