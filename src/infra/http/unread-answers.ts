import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'

/** A large response that a client or another server has not read yet. */
export type UnreadAnswer = {
  /** The owner: a user, a server or a network. */
  owner: string
  bytes: number
  /** A number that grows while the response is read. */
  taken(): number
  /** Closes the connection. */
  abandon(): void
}

export type UnreadAnswers = {
  /** Counts a response until the returned function is called. */
  hold(answer: UnreadAnswer): () => void
  stop(): void
}

/** `ofOwner`, `ofAll`: bytes. `timeout`: milliseconds. */
export type UnreadLimits = { ofOwner: number; ofAll: number; timeout: number }

type Held = UnreadAnswer & { lastTaken: number; lastProgress: number }

const LOOKS_IN_A_TIMEOUT = 10

/**
 * Limits the memory of unread responses. When an owner has too many bytes, closes the owner's oldest responses; when
 * all together are too many, those that have not been read for the longest time. Also closes a response of which
 * nothing is read until the timeout.
 */
export function createUnreadAnswers(
  { clock, logger }: { clock: Clock; logger: Logger },
  limits: UnreadLimits,
): UnreadAnswers {
  /** In the order in which they started. */
  const held = new Set<Held>()
  const bytesOf = new Map<string, number>()
  let bytes = 0
  const timer = setInterval(lookAtAll, limits.timeout / LOOKS_IN_A_TIMEOUT).unref()

  function release(answer: Held): void {
    if (!held.delete(answer)) return
    const left = bytesOf.get(answer.owner)! - answer.bytes
    bytes -= answer.bytes
    if (left > 0) bytesOf.set(answer.owner, left)
    else bytesOf.delete(answer.owner)
  }

  function abandon(answer: Held, reason: string): void {
    release(answer)
    logger.warn({ owner: answer.owner, bytes: answer.bytes }, `connection closed, response not read: ${reason}`)
    answer.abandon()
  }

  function lookAtAll(): void {
    noteProgress(held, clock.now())
    const before = clock.now() - limits.timeout
    for (const answer of held) if (answer.lastProgress <= before) abandon(answer, 'read timeout')
  }

  /** Never closes the newest one. */
  function makeRoom(newest: Held): void {
    for (const answer of held) {
      if ((bytesOf.get(newest.owner) ?? 0) <= limits.ofOwner) break
      if (answer.owner === newest.owner && answer !== newest) abandon(answer, 'its owner has too many')
    }
    if (bytes <= limits.ofAll) return
    noteProgress(held, clock.now())
    for (const answer of [...held].sort((a, b) => a.lastProgress - b.lastProgress)) {
      if (bytes <= limits.ofAll) break
      if (answer !== newest) abandon(answer, 'limit exceeded')
    }
  }

  return {
    hold(answer) {
      const own: Held = { ...answer, lastTaken: answer.taken(), lastProgress: clock.now() }
      held.add(own)
      bytes += own.bytes
      bytesOf.set(own.owner, (bytesOf.get(own.owner) ?? 0) + own.bytes)
      makeRoom(own)
      return () => release(own)
    },
    stop: () => clearInterval(timer),
  }
}

function noteProgress(held: ReadonlySet<Held>, now: number): void {
  for (const answer of held) {
    const taken = answer.taken()
    if (taken === answer.lastTaken) continue
    answer.lastTaken = taken
    answer.lastProgress = now
  }
}
