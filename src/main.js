import './infra/compile-cache.js'
import { setFlagsFromString } from 'node:v8'

// Objects that live long during the start seldom do so later. V8 would continue to allocate them in old space, which is
// only collected when memory has grown by half.
setFlagsFromString('--no-allocation-site-pretenuring')

// Garbage among what is old is collected when memory has grown by half, not when it is four times as large: while a
// room of 10,000 joins, that saves 60 MiB.
setFlagsFromString('--heap-growing-percent=50')

// A regular expression that would go back and forth over a hostile text for minutes is matched in linear time instead.
// Those in the registrations of application services are not ours; `src/regular-expressions.test.ts` looks at ours.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')

/** How long what is still open after the command may keep the process alive. */
const LINGER_MS = 2000

const { runCommandLine } = await import('./cli.ts')
process.exitCode = await runCommandLine(process.argv.slice(2))
setTimeout(() => process.exit(), LINGER_MS).unref()
