import { setTimeout as pause } from 'node:timers/promises'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'

/** Local users who join one room concurrently, each through the servers that they know: the first join serves all. */
export type JoinRace = {
  /** Aborts pending requests once the room is here. */
  signal: AbortSignal
  /** Returns the servers to join through, the best first; servers with pending attempts come last. */
  order(servers: readonly ServerName[]): Promise<ServerName[]>
  /**
   * Joins through a server, after other attempts through it. Throws RoomArrived once the room is here, and shares the
   * failure of a concurrent attempt.
   */
  through<Result>(server: ServerName, join: () => Promise<Result>): Promise<Result>
}

/** Thrown when the room has arrived by another join. */
export class RoomArrived extends Error {}

type Race = { runners: number; attempts: Map<ServerName, Promise<unknown>>; arrived: AbortController }

/** Delays a second join while the first is being answered: a large room should not be fetched twice. */
const HEAD_START_MS = 3000

/** The rooms that local users are joining. */
export type JoinRaces = {
  /**
   * Joins a room concurrently with others. Throws RoomArrived if another join succeeded first, in any process of this
   * server.
   */
  enter(roomId: RoomId, join: (race: JoinRace) => Promise<void>): Promise<void>
}

export function createJoinRaces(stream: StreamTail): JoinRaces {
  const races = new Map<RoomId, Race>()
  return {
    async enter(roomId, join) {
      const race = races.get(roomId) ?? beginRace(races, roomId)
      race.runners++
      const stopListening = stream.subscribe((rows) => {
        if (rows.some(({ kind, detail }) => kind === 'room_entered' && detail === roomId)) race.arrived.abort()
      })
      try {
        await join(runnerIn(race))
      } finally {
        stopListening()
        if (--race.runners === 0) end(races, roomId, race)
      }
    },
  }
}

function beginRace(races: Map<RoomId, Race>, roomId: RoomId): Race {
  const race = { runners: 0, attempts: new Map(), arrived: new AbortController() }
  races.set(roomId, race)
  race.arrived.signal.addEventListener('abort', () => end(races, roomId, race), { once: true })
  return race
}

/** Later joins find the room here, or begin another race. */
function end(races: Map<RoomId, Race>, roomId: RoomId, race: Race): void {
  if (races.get(roomId) === race) races.delete(roomId)
}

function runnerIn({ attempts, arrived }: Race): JoinRace {
  const { signal } = arrived
  const arrival = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

  async function through<Result>(server: ServerName, join: () => Promise<Result>): Promise<Result> {
    for (let other = attempts.get(server); other; other = attempts.get(server)) {
      const failure = await Promise.race([failureOf(other), arrival])
      if (signal.aborted) throw new RoomArrived()
      if (failure instanceof FederationError && failure.status === undefined) throw failure
    }
    const attempt = join()
    attempts.set(server, attempt)
    try {
      const result = await attempt
      arrived.abort()
      return result
    } catch (error) {
      throw signal.aborted ? new RoomArrived() : error
    } finally {
      attempts.delete(server)
    }
  }

  return {
    signal,
    async order(servers) {
      const other = servers.map((server) => attempts.get(server)).find(Boolean)
      if (other) await Promise.race([failureOf(other), arrival, pause(HEAD_START_MS, undefined, { ref: false })])
      if (signal.aborted) throw new RoomArrived()
      const isAsked = (server: ServerName) => attempts.has(server)
      return [...servers.filter((server) => !isAsked(server)), ...servers.filter(isAsked)]
    },
    through,
  }
}

/** Returns the error of an attempt; undefined if it succeeds. */
function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => undefined,
    (error) => error,
  )
}
