import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// What has been compiled once starts sooner the next time. Where only those who installed Hearth can write: who can change this can change what runs.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'hearth', 'compiled'))

/** How long what is still open after the command may keep the process alive. */
const LINGER_MS = 2000

const { runCommandLine } = await import('./cli.ts')
process.exitCode = await runCommandLine(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()
