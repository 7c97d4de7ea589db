import type { FuzzWorld } from './fuzz-world.ts'

const LOOKED_AT = 20_000

/** Returns the last error in the homeserver's log. */
export function lastErrors({ processes }: FuzzWorld): string {
  const lines = processes.flatMap(({ output }) => output().slice(-LOOKED_AT).split('\n'))
  return lines.filter((line) => line.includes('"level":"error"')).at(-1) ?? ''
}
