import { setFlagsFromString } from 'node:v8'
import type { PGlite } from '@electric-sql/pglite'

/**
 * Loads PGlite with only V8's baseline compiler. The optimising compiler takes seconds, and 600 MiB for the one
 * function with which PostgreSQL evaluates expressions, while Hearth's statements are hardly faster with it.
 */
export async function loadPglite(): Promise<typeof PGlite> {
  // One flag alone would optimise everything, or hot functions, as by default.
  setFlagsFromString('--no-wasm-tier-up')
  setFlagsFromString('--no-wasm-dynamic-tiering')
  return (await import('@electric-sql/pglite')).PGlite
}
