import { runCommandLine } from './cli.ts'

/** How long what is still open after the command may keep the process alive. */
const LINGER_MS = 2000

process.exitCode = await runCommandLine(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()
