const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const DAY_MS = 24 * HOUR_MS

/**
 * A resolution of figures: the length of its steps in seconds, and for how many milliseconds they are kept. `detailed`:
 * each process has its own routes, clients and peers; otherwise only all processes together.
 */
export type Tier = { resolution: number; keep: number; detailed: boolean }

/** The resolutions in which figures are stored. Steps of each are made of those before it. */
export const TIERS: readonly Tier[] = [
  { resolution: 10, keep: HOUR_MS, detailed: true },
  { resolution: 60, keep: DAY_MS, detailed: true },
  { resolution: 600, keep: 8 * DAY_MS, detailed: false },
  { resolution: 3600, keep: 40 * DAY_MS, detailed: false },
  { resolution: 86_400, keep: 400 * DAY_MS, detailed: false },
]

/** The length of a step in milliseconds. */
export function stepMs({ resolution }: Pick<Tier, 'resolution'>): number {
  return resolution * SECOND_MS
}

/** The start of the step that contains a time. */
export function stepAt(tier: Pick<Tier, 'resolution'>, time: number): number {
  return time - (time % stepMs(tier))
}
