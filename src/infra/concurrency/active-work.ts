/** The concurrent work of this process, by key. */
export type ActiveWork<Key, About> = {
  readonly size: number
  has(key: Key): boolean
  keys(): Key[]
  /** Returns the notes about all active work. */
  abouts(): About[]
  /** Starts work that never rejects. The key must not have active work. */
  begin(key: Key, about: About, work: () => Promise<void>): void
  /** Returns a promise for the end of a key's work; undefined if it is not active. */
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
