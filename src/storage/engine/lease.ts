/** A lease that a process acquires: who holds it, the time, and when it ends (milliseconds since 1970). */
export type Lease = { holder: string; now: number; until: number }
