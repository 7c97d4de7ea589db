import { setFlagsFromString } from 'node:v8'
import type { PGlite } from '@electric-sql/pglite'

/**
 * The embedded PostgreSQL, whose code V8 compiles only once, quickly: to optimise it takes seconds, and of the one function by which PostgreSQL evaluates
 * expressions 600 MiB, while Hearth's statements take about as long without.
 */
export async function loadPglite(): Promise<typeof PGlite> {
  // One without the other would optimise everything, or as usual what runs often.
  setFlagsFromString('--no-wasm-tier-up')
  setFlagsFromString('--no-wasm-dynamic-tiering')
  return (await import('@electric-sql/pglite')).PGlite
}
