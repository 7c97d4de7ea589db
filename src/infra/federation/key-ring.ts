import { LRUCache } from 'lru-cache'
import type { ServerName } from '../../core/ids.ts'
import type { PublishedKey } from '../../core/signing/server-key-response.ts'
import { publicKeyBytes } from '../../core/signing/verify-json.ts'
import type { Database } from '../../storage/engine/database.ts'
import { loadOwnKeys } from '../../storage/federation/own-keys.ts'
import { loadServerKeys, storeServerKeys } from '../../storage/federation/server-keys.ts'
import type { ServerKeyRow } from '../../storage/schema/server-keys.ts'
import type { Clock } from '../clock.ts'
import type { AskedLanes, Asker } from './asked-lanes.ts'
import type { FederationClient } from './federation-client.ts'
import { createKeyFetcher, type WantedKey } from './key-fetcher.ts'
import type { SigningKeys } from './signing-keys.ts'

/** The requirements for a server's key response: valid until a time (milliseconds since 1970), and with some keys. */
export type WantedAnswer = { validUntil: number; keyIds: readonly string[] }

/**
 * The verify keys of all servers: from memory, the database, the servers themselves or notaries, in this order. Not
 * inside transactions. Throws M_LIMIT_EXCEEDED while too many wait for keys.
 */
export type KeyRing = {
  /**
   * Returns the 32 bytes of each wanted key, in the same order; undefined if it is unavailable. Asks each server at
   * most once for all of its keys.
   */
  find(wanted: readonly WantedKey[]): Promise<(Buffer | undefined)[]>
  /** Fetches the keys of those of some servers of which no key is known. Does not report whether they responded. */
  learn(servers: readonly ServerName[]): Promise<void>
  /** Returns the servers' signed key responses, fetched again if they expire too early or lack wanted keys. */
  answers(wanted: ReadonlyMap<ServerName, WantedAnswer>): Promise<Map<ServerName, string[]>>
  /** Returns the same ring for an asker: requests run in the asker's lane. */
  onBehalfOf(asker: Asker): KeyRing
}

type KnownKey = PublishedKey & { key: Buffer }
type KnownKeys = ReadonlyMap<string, KnownKey>

const MAX_SERVERS = 20_000

type Sources = {
  database: Database
  federation: FederationClient
  serverName: ServerName
  signingKeys: SigningKeys
  /** Servers that are asked for the keys of unreachable servers. */
  notaries: readonly ServerName[]
  clock: Clock
  lanes: AskedLanes
}

export function createKeyRing(from: Sources): KeyRing {
  const { load, forget } = createKnownKeys(from)
  const fetcher = createKeyFetcher({
    ...from,
    keep: (rows) => from.database.writeLazily((tx) => storeServerKeys(tx, rows)),
  })

  async function find(wanted: readonly WantedKey[], asker: Asker | undefined): Promise<(Buffer | undefined)[]> {
    const own = from.signingKeys.current
    const isOwn = ({ serverName, keyId }: WantedKey) => serverName === from.serverName && keyId === own.keyId
    const remote = wanted.filter((want) => !isOwn(want))
    const known = await load([...new Set(remote.map(({ serverName }) => serverName))])
    const missing = remote.filter((want) => want.serverName !== from.serverName && !keyFor(known, want))
    if (missing.length > 0) for (const [server, keys] of await refresh(missing, asker)) known.set(server, keys)
    return wanted.map((want) => (isOwn(want) ? publicKeyBytes(own.publicKey) : keyFor(known, want)?.key))
  }

  /** Fetches and stores all keys of the servers of these keys. */
  async function refresh(missing: readonly WantedKey[], asker: Asker | undefined): Promise<Map<ServerName, KnownKeys>> {
    const servers = [...new Set(missing.map(({ serverName }) => serverName))]
    await fetcher.fetch(missing, asker)
    forget(servers)
    return load(servers)
  }

  async function learn(servers: readonly ServerName[], asker: Asker | undefined): Promise<void> {
    const others = servers.filter((server) => server !== from.serverName)
    const known = await load(others)
    const strangers = others.filter((server) => known.get(server)?.size === 0)
    if (strangers.length > 0) await refresh(strangers.map(anyKeyOf), asker)
  }

  async function answers(
    wanted: ReadonlyMap<ServerName, WantedAnswer>,
    asker: Asker | undefined,
  ): Promise<Map<ServerName, string[]>> {
    const servers = [...wanted.keys()]
    const rows = await loadServerKeys(from.database, servers)
    const known = Map.groupBy(rows, (row) => row.server_name)
    const stale = servers.filter((server) => !suffices(known.get(server) ?? [], wanted.get(server)!))
    if (stale.length > 0) await refresh(stale.map(anyKeyOf), asker)
    const fresh = stale.length > 0 ? await loadServerKeys(from.database, servers) : rows
    const byServer = Map.groupBy(fresh, (row) => row.server_name)
    return new Map([...byServer].map(([server, keys]) => [server, [...new Set(keys.map((row) => row.response))]]))
  }

  const ringFor = (asker?: Asker): KeyRing => ({
    find: (wanted) => find(wanted, asker),
    learn: (servers) => learn(servers, asker),
    answers: (wanted) => answers(wanted, asker),
    onBehalfOf: ringFor,
  })
  return ringFor()
}

/** The keys in memory and in the database. */
function createKnownKeys(from: { database: Database; serverName: ServerName }) {
  const cache = new LRUCache<ServerName, KnownKeys>({ max: MAX_SERVERS })

  /** Returns known keys, without requests. */
  async function load(servers: readonly ServerName[]): Promise<Map<ServerName, KnownKeys>> {
    const known = new Map(servers.map((server) => [server, cache.get(server)] as const))
    const unknown = servers.filter((server) => !known.get(server) && server !== from.serverName)
    const rows = unknown.length > 0 ? await loadServerKeys(from.database, unknown) : []
    for (const [server, keys] of Map.groupBy(rows, (row) => row.server_name)) remember(server, keys, known)
    if (known.has(from.serverName)) known.set(from.serverName, await formerKeys())
    return new Map([...known].map(([server, keys]) => [server, keys ?? new Map()]))
  }

  function remember(server: ServerName, rows: readonly ServerKeyRow[], known: Map<ServerName, KnownKeys | undefined>) {
    const keys = new Map(rows.flatMap(knownKey))
    cache.set(server, keys)
    known.set(server, keys)
  }

  async function formerKeys(): Promise<KnownKeys> {
    return new Map(
      (await loadOwnKeys(from.database)).flatMap(({ key_id, public_key, expired_ts }) => {
        const valid_until_ts = expired_ts ?? Number.MAX_SAFE_INTEGER
        return knownKey({ key_id, public_key, valid_until_ts, retired: expired_ts !== null })
      }),
    )
  }

  return {
    load,
    forget(servers: readonly ServerName[]): void {
      for (const server of servers) cache.delete(server)
    },
  }
}

function anyKeyOf(serverName: ServerName): WantedKey {
  return { serverName, keyId: '', validAt: 0 }
}

function suffices(rows: readonly ServerKeyRow[], { validUntil, keyIds }: WantedAnswer): boolean {
  const isCurrent = rows.some((row) => !row.retired && row.valid_until_ts >= validUntil)
  return isCurrent && keyIds.every((keyId) => rows.some((row) => row.key_id === keyId))
}

function keyFor(known: ReadonlyMap<ServerName, KnownKeys>, want: WantedKey): KnownKey | undefined {
  const key = known.get(want.serverName)?.get(want.keyId)
  return key && key.validUntil >= want.validAt && !(want.usedFrom !== undefined && key.retired) ? key : undefined
}

function knownKey(
  row: Pick<ServerKeyRow, 'key_id' | 'public_key' | 'valid_until_ts' | 'retired'>,
): [string, KnownKey][] {
  const key = publicKeyBytes(row.public_key)
  if (!key) return []
  const { key_id: keyId, public_key: publicKey, valid_until_ts: validUntil, retired } = row
  return [[keyId, { keyId, publicKey, validUntil, retired, key }]]
}
