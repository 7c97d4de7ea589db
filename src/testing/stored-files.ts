import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { App } from '../app.ts'

/** Returns the paths of the files in the media store of an app, unfinished uploads included. */
export function storedFiles({ config }: Pick<App, 'config'>): string[] {
  return readdirSync(config.media.storage_dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
