import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { MatrixError } from '../../core/errors.ts'
import type { ServerName } from '../../core/ids.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import { readServerKeys } from '../../core/signing/server-key-response.ts'
import { verifyJson } from '../../core/signing/verify-json.ts'
import type { ServerKeyRow } from '../../storage/schema/server-keys.ts'
import type { Clock } from '../clock.ts'
import { backOff } from '../concurrency/back-off.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import { createGrowingCache } from '../concurrency/growing-cache.ts'
import { createLanes } from '../concurrency/lanes.ts'
import { createSingleFlight } from '../concurrency/single-flight.ts'
import type { AskedLanes, Asker } from './asked-lanes.ts'
import type { FederationClient } from './federation-client.ts'

/** A key that a signature names. */
export type WantedKey = {
  serverName: ServerName
  keyId: string
  /** The key must be valid at this time, in milliseconds since 1970; 0: at any time. */
  validAt: number
  /** For requests: the network that they come from. Retired keys do not count. */
  usedFrom?: string
}

/** Fetches keys from servers, or from notaries for servers that do not respond. */
export type KeyFetcher = {
  /**
   * Fetches and stores all keys that the servers of these keys publish. Skips servers that were asked recently, unless
   * the keys are for requests; then a few seconds suffice. `asker`: the cause, if not this server itself. Throws
   * M_LIMIT_EXCEEDED while too many wait for keys.
   */
  fetch(missing: readonly WantedKey[], asker?: Asker): Promise<void>
}

/** The concurrency of this server's own fetches. */
const AT_A_TIME = 64
/** The concurrency of one fetch. */
const AT_ONCE = 32
/**
 * Limits of fetches for the authentication of requests, which anyone can send in any name: in total and of one network,
 * and how many may wait.
 */
const REQUESTS = { each: 16, total: 64, waiting: 184, waitingInAll: 2000 }
const CROWDED_MS = 10_000
const TIMEOUT_MS = 10_000
/** How long unauthenticated requests may wait for a key fetch. */
const PATIENCE_MS = 10_000
const MAX_BYTES = 64 * 1024
const MAX_NOTARY_BYTES = 8 * 1024 * 1024
/** A server is not asked more often, however many requests bear unknown keys. */
const BACK_OFF = { first: 5000, longest: 3_600_000 }

/** When a server was last asked, and its consecutive failures. */
type Trouble = { at: number; failures: number }
type Troubles = ReturnType<typeof createGrowingCache<ServerName, Trouble>>
/** How to fetch: the lane, and the failures to consider. */
type Way = { inTurn(work: () => Promise<boolean>): Promise<boolean>; troubles: Troubles; mayWait: boolean }

type Fetching = {
  federation: FederationClient
  serverName: ServerName
  notaries: readonly ServerName[]
  clock: Clock
  lanes: AskedLanes
  /**
   * Stores keys. A server counts as asked only after that: otherwise concurrent callers would find no keys and not ask.
   */
  keep(rows: readonly ServerKeyRow[]): Promise<void>
}

export function createKeyFetcher(from: Fetching): KeyFetcher {
  const singleFlight = createSingleFlight<boolean>()
  const wayOf = createWays(from.lanes)

  /** Whether the server returned its keys. */
  async function askServer(serverName: ServerName, { inTurn, troubles, mayWait }: Way): Promise<boolean> {
    const since = from.clock.now()
    return inTurn(() =>
      singleFlight(`${mayWait} ${serverName}`, async () => {
        const last = troubles.get(serverName)
        if (last && mayWait) await pause(Math.max(0, last.at + BACK_OFF.first - from.clock.now()))
        // Another caller asked while this one waited for its turn.
        else if (last && last.at >= since) return last.failures === 0
        return askNow(from, serverName, troubles)
      }),
    )
  }

  return {
    async fetch(missing, asker) {
      const way = wayOf(missing.find(({ usedFrom }) => usedFrom !== undefined)?.usedFrom, asker)
      const due = missing.filter(
        ({ serverName }) => way.mayWait || isDue(from.clock.now(), way.troubles.get(serverName)),
      )
      const silent = new Set(due.map(({ serverName }) => serverName))
      const atOnce = createConcurrencyLimit(AT_ONCE)
      await Promise.all(
        [...silent].map((server) =>
          atOnce(async () => {
            if (await askServer(server, way)) silent.delete(server)
          }),
        ),
      )
      // Unauthenticated requests do not reach notaries: their senders can ask them directly.
      if (asker?.kind !== 'network') await askNotaries(from, missing, silent)
    },
  }
}

/** Returns how to fetch for a network whose request needs a key, for an asker, or for this server itself. */
function createWays(lanes: AskedLanes): (network: string | undefined, asker: Asker | undefined) => Way {
  // Failures of fetches for unauthenticated requests must not put a server into back-off.
  const [troubles, troublesOfStrangers] = [newTroubles(), newTroubles()]
  const ownTurn = createConcurrencyLimit(AT_A_TIME)
  const requests = createLanes<string>(REQUESTS)

  return (network, asker) => {
    if (network !== undefined)
      return { inTurn: (work) => requests(network, work) ?? Promise.reject(crowded()), troubles, mayWait: true }
    if (!asker) return { inTurn: ownTurn, troubles, mayWait: false }
    if (asker.kind !== 'network') return { inTurn: (work) => lanes(asker, work), troubles, mayWait: false }
    const patience = AbortSignal.timeout(PATIENCE_MS)
    const inTurn: Way['inTurn'] = (work) =>
      lanes(asker, work, patience).catch((error) => {
        if (error === patience.reason) return false
        throw error
      })
    return { inTurn, troubles: troublesOfStrangers, mayWait: false }
  }
}

/** Dead servers must not delay every check of an old event. */
function isDue(now: number, last: Trouble | undefined): boolean {
  if (!last) return true
  return now >= last.at + backOff(last.failures, BACK_OFF)
}

async function askNow(from: Fetching, serverName: ServerName, troubles: Troubles): Promise<boolean> {
  const rows = await fetchFromServer(from, serverName).catch(() => [])
  if (rows.length > 0) await from.keep(rows)
  const failures = rows.length > 0 ? 0 : (troubles.get(serverName)?.failures ?? 0) + 1
  troubles.set(serverName, { at: from.clock.now(), failures })
  return rows.length > 0
}

async function askNotaries(from: Fetching, missing: readonly WantedKey[], silent: Set<ServerName>): Promise<void> {
  for (const notary of from.notaries) {
    const left = missing.filter(({ serverName }) => silent.has(serverName) && serverName !== notary)
    if (left.length === 0) break
    const answers = await fetchFromNotary(from, notary, left).catch(() => [])
    if (answers.length > 0) await from.keep(answers)
    for (const { server_name } of answers) silent.delete(server_name)
  }
}

function newTroubles(): Troubles {
  return createGrowingCache<ServerName, Trouble>(50_000)
}

function crowded(): MatrixError {
  const message = 'Too many requests need unknown signing keys. Try again later.'
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

/**
 * Fetches keys of several servers in one request; the notary has to sign each response in addition to the server.
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query
 */
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
