import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { canonicalJson } from '../core/canonical-json.ts'
import { MatrixError } from '../core/errors.ts'
import type { ServerName } from '../core/ids.ts'
import { readServerKeys } from '../core/signing/server-key-response.ts'
import { verifyJson } from '../core/signing/verify-json.ts'
import type { ServerKeyRow } from '../storage/server-keys-schema.ts'
import type { Clock } from './clock.ts'
import { createConcurrencyLimit } from './concurrency-limit.ts'
import type { FederationClient } from './federation-client.ts'
import { createGrowingCache } from './growing-cache.ts'
import type { WantedKey } from './key-ring.ts'
import { createKeyedLimit } from './keyed-limit.ts'
import { createSingleFlight } from './single-flight.ts'

/** Asks servers for their keys, or notaries for those of servers that do not answer. */
export type KeyFetcher = {
  /**
   * Has all keys kept that the servers of these keys publish. Servers that were asked lately are left alone; for requests they are asked all the same, a
   * few seconds later. Throws M_LIMIT_EXCEEDED while too many requests wait for keys.
   */
  fetch(missing: readonly WantedKey[]): Promise<void>
}

/** Of those who make requests, and of those whose events come along. */
const AT_A_TIME = 64
/** Of the servers, those that are asked because of requests of one network, which anybody can make in any name. */
const AT_A_TIME_OF_NETWORK = 16
/** Requests that may wait, of one network and in all. */
const WAITING_OF_NETWORK = 200
const WAITING = 2000
const CROWDED_MS = 10_000
const TIMEOUT_MS = 10_000
const MAX_BYTES = 64 * 1024
const MAX_NOTARY_BYTES = 8 * 1024 * 1024
/** However many requests bear keys that nobody knows, a server is not asked more often. */
const SHORTEST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 3_600_000

/** When a server was last asked in vain, and how often running. */
type Trouble = { at: number; failures: number }

export function createKeyFetcher(from: {
  federation: FederationClient
  serverName: ServerName
  notaries: readonly ServerName[]
  clock: Clock
  /** Stores keys. A server counts as asked only after that: until then others would ask nobody, and find nothing. */
  keep(rows: readonly ServerKeyRow[]): Promise<void>
}): KeyFetcher {
  const asked = createGrowingCache<ServerName, Trouble>(50_000)
  const singleFlight = createSingleFlight<ServerKeyRow[]>()
  // Whoever sends events of many servers that do not answer must not keep the others from being heard.
  const [requestLane, eventLane] = [createConcurrencyLimit(AT_A_TIME), createConcurrencyLimit(AT_A_TIME)]
  const networkLanes = createKeyedLimit<string>({ limit: AT_A_TIME_OF_NETWORK, size: WAITING })
  const requestsOf = createKeyedLimit<string>({ limit: WAITING_OF_NETWORK, size: WAITING_OF_NETWORK })
  let waiting = 0

  /** For old events one must not wait on every dead server each time. */
  function mayAsk({ serverName, usedFrom }: WantedKey): boolean {
    const last = asked.get(serverName)
    if (!last || usedFrom !== undefined) return true
    return from.clock.now() >= last.at + Math.min(SHORTEST_PAUSE_MS * 2 ** last.failures, LONGEST_PAUSE_MS)
  }

  function askServer({ serverName, usedFrom }: WantedKey): Promise<ServerKeyRow[]> {
    if (usedFrom === undefined) return singleFlight(serverName, () => eventLane(() => askNow(serverName)))
    return singleFlight(`used ${serverName}`, async () => {
      await pause(untilNextAsking(serverName))
      return networkLanes(usedFrom, () => requestLane(() => askNow(serverName))) ?? []
    })
  }

  async function askNow(serverName: ServerName): Promise<ServerKeyRow[]> {
    const rows = await fetchFromServer(from, serverName).catch(() => [])
    if (rows.length > 0) await from.keep(rows)
    const failures = rows.length > 0 ? 0 : (asked.get(serverName)?.failures ?? 0) + 1
    asked.set(serverName, { at: from.clock.now(), failures })
    return rows
  }

  /** Requests whose keys are not known cost a connection each, and nobody knows yet who makes them. */
  async function asRequest<Result>(network: string, work: () => Promise<Result>): Promise<Result> {
    const turn = waiting < WAITING ? requestsOf(network, work) : undefined
    if (!turn) throw crowded()
    waiting++
    return turn.finally(() => waiting--)
  }

  /** Who makes a request is most likely there. It waits, for servers that are refused may not come again for minutes, even if all they did was to change their key just after it was asked for. */
  function untilNextAsking(serverName: ServerName): number {
    const last = asked.get(serverName)
    return last ? Math.max(0, last.at + SHORTEST_PAUSE_MS - from.clock.now()) : 0
  }

  async function fetchAll(missing: readonly WantedKey[]): Promise<void> {
    const wanted = new Map(missing.filter(mayAsk).map((key) => [key.serverName, key]))
    const rows = (await Promise.all([...wanted.values()].map(askServer))).flat()
    const silent = new Set(wanted.keys())
    for (const { server_name } of rows) silent.delete(server_name)
    for (const notary of from.notaries) {
      const left = missing.filter(({ serverName }) => silent.has(serverName) && serverName !== notary)
      if (left.length === 0) break
      const told = await fetchFromNotary(from, notary, left).catch(() => [])
      if (told.length > 0) await from.keep(told)
      for (const { server_name } of told) silent.delete(server_name)
    }
  }

  return {
    fetch(missing) {
      const network = missing.find(({ usedFrom }) => usedFrom !== undefined)?.usedFrom
      return network === undefined ? fetchAll(missing) : asRequest(network, () => fetchAll(missing))
    },
  }
}

function crowded(): MatrixError {
  const message = 'Too many requests are signed with keys that are not known here'
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { retry_after_ms: CROWDED_MS })
}

type From = { federation: FederationClient; clock: Clock }

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server */
async function fetchFromServer({ federation, clock }: From, destination: ServerName): Promise<ServerKeyRow[]> {
  const path = '/_matrix/key/v2/server'
  const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
  const answer = await federation.request({ destination, method: 'GET', path, ...limits })
  return rowsOf(answer, destination, clock.now())
}

const notaryAnswer = z.object({ server_keys: z.array(z.looseObject({ server_name: z.string() })) })

/** Keys of several servers in one request; the notary has to sign each answer, besides the server. https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query */
async function fetchFromNotary(from: From, notary: ServerName, wanted: readonly WantedKey[]): Promise<ServerKeyRow[]> {
  const criteria: Record<string, Record<string, object>> = {}
  for (const { serverName, keyId, validAt } of wanted) {
    criteria[serverName] ??= {}
    if (keyId !== '') criteria[serverName][keyId] = { minimum_valid_until_ts: validAt }
  }
  const { federation, clock } = from
  const [notaryKeys, answer] = await Promise.all([
    fetchFromServer(from, notary),
    federation.request({
      destination: notary,
      method: 'POST',
      path: '/_matrix/key/v2/query',
      body: { server_keys: criteria },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_NOTARY_BYTES,
    }),
  ])
  const { server_keys: answers } = notaryAnswer.parse(answer)
  return answers
    .filter((each) => Object.hasOwn(criteria, each.server_name))
    .filter((each) => notaryKeys.some((key) => !key.retired && verifyJson(each, notary, key.key_id, key.public_key)))
    .flatMap((each) => rowsOf(each, each.server_name as ServerName, clock.now()))
}

function rowsOf(answer: unknown, serverName: ServerName, now: number): ServerKeyRow[] {
  const keys = readServerKeys(answer, serverName, now) ?? []
  const response = keys.length > 0 ? canonicalJson(answer as object, { strict: false }) : ''
  return keys.map(({ keyId, publicKey, validUntil, retired }) => ({
    server_name: serverName,
    key_id: keyId,
    public_key: publicKey,
    valid_until_ts: validUntil,
    retired,
    fetched_ts: now,
    response,
  }))
}
