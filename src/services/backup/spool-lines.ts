import { open, rm } from 'node:fs/promises'
import { linesOf } from '../../infra/zip-reader.ts'

/** Lines that were read from a snapshot and are needed after its end, in a file: they may be millions. */
export type SpooledLines = {
  /** Returns the lines, once. */
  lines(): AsyncIterable<string>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Stores lines, without line breaks in them, in a file that has no name any more: it ends with the process at the
 * latest.
 */
export async function spoolLines(path: string, groups: AsyncIterable<readonly string[]>): Promise<SpooledLines> {
  const file = await open(path, 'w+', 0o600)
  try {
    await rm(path)
    for await (const lines of groups) await file.appendFile(`${lines.join('\n')}\n`)
  } catch (error) {
    await file.close()
    throw error
  }
  return {
    lines: () => linesOf(file.createReadStream({ start: 0, autoClose: false })),
    [Symbol.asyncDispose]: () => file.close(),
  }
}
