/** The work that this process does side by side, by key. */
export type ActiveWork<Key, About> = {
  readonly size: number
  has(key: Key): boolean
  keys(): Key[]
  /** What was noted about each. */
  abouts(): About[]
  /** Begins work that never rejects; not of a key whose work has not ended. */
  begin(key: Key, about: About, work: () => Promise<void>): void
  /** The end of the work of a key; undefined when it is not active. */
  ended(key: Key): Promise<void> | undefined
  /** Resolves when nothing is active. */
  idle(): Promise<void>
}

export function createActiveWork<Key, About = undefined>(): ActiveWork<Key, About> {
  const active = new Map<Key, { about: About; ended: Promise<void> }>()
  return {
    get size() {
      return active.size
    },
    has: (key) => active.has(key),
    keys: () => [...active.keys()],
    abouts: () => [...active.values()].map(({ about }) => about),
    begin(key, about, work) {
      if (active.has(key)) return
      active.set(key, { about, ended: work().finally(() => active.delete(key)) })
    },
    ended: (key) => active.get(key)?.ended,
    async idle() {
      while (active.size > 0) await Promise.all([...active.values()].map(({ ended }) => ended))
    },
  }
}
