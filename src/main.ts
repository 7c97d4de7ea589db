import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

// What has been compiled once starts sooner the next time. Where only those who installed Hearth can write: who can change this can change what runs.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'hearth', 'compiled'))

// What lived long while the server started seldom does later: V8 would go on making it where it is only collected when memory has grown by half.
setFlagsFromString('--no-allocation-site-pretenuring')

/** How long what is still open after the command may keep the process alive. */
const LINGER_MS = 2000

const { runCommandLine } = await import('./cli.ts')
process.exitCode = await runCommandLine(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()
