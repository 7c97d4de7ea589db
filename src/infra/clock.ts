/** The source of time, so that tests can set it. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() }

/** A clock that stays at `start` (milliseconds since 1970) until it is advanced. */
export function fixedClock(start: number): Clock & { advance(milliseconds: number): void } {
  let time = start
  return {
    now: () => time,
    advance: (milliseconds) => {
      time += milliseconds
    },
  }
}
