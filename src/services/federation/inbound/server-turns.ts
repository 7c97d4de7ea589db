import type { ServerName } from '../../../core/ids.ts'
import { createLanes } from '../../../infra/concurrency/lanes.ts'

/** Thrown when waiting work loses its place to a server with less waiting work. The work has not begun. */
export class CrowdedOutError extends Error {
  override name = 'CrowdedOutError'
}

/**
 * Runs work on behalf of servers. Returns undefined if there is no place; rejects with `CrowdedOutError` if another
 * server takes the place.
 */
export type ServerTurns = <Result>(server: ServerName, work: () => Promise<Result>) => Promise<Result> | undefined

/**
 * Shares places among servers: each server runs `each` tasks concurrently, and `waiting` tasks wait. If all `total`
 * places are taken, a server takes one from the server with most waiting work, so that no few servers lock out the
 * others.
 */
export function createServerTurns(places: { each: number; waiting: number; total: number }): ServerTurns {
  const lanes = createLanes<ServerName>(places)
  const queues = new Map<ServerName, Set<AbortController>>()
  let taken = 0

  function leave(server: ServerName, place: AbortController): void {
    const queue = queues.get(server)
    queue?.delete(place)
    if (queue?.size === 0) queues.delete(server)
  }

  /** Takes a place from the server with most waiting work. Returns false if none has more than `server`. */
  function makeRoom(server: ServerName): boolean {
    let longest = queues.get(server) ?? new Set<AbortController>()
    const own = longest.size
    for (const queue of queues.values()) if (queue.size > longest.size) longest = queue
    if (longest.size <= own) return false
    ;[...longest].at(-1)!.abort(new CrowdedOutError('Other servers need the capacity'))
    return true
  }

  return (server, work) => {
    if (taken >= places.total && !makeRoom(server)) return undefined
    const place = new AbortController()
    const queue = queues.get(server) ?? new Set()
    queues.set(server, queue.add(place))
    const begin = () => {
      leave(server, place)
      return work()
    }
    const running = lanes(server, begin, place.signal)
    if (!running) {
      leave(server, place)
      return undefined
    }
    taken++
    place.signal.addEventListener('abort', () => leave(server, place), { once: true })
    return running.finally(() => {
      taken--
      leave(server, place)
    })
  }
}
