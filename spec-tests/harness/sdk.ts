import { ClientEvent, createClient, IndexedDBStore, type MatrixClient, MemoryStore, SyncState } from 'matrix-js-sdk'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { type Logger, logger as sdkLogger } from 'matrix-js-sdk/lib/logger.js'
import { RustBackupManager } from 'matrix-js-sdk/lib/rust-crypto/backup.js'
import type { TestUser } from './client.ts'

const silence = () => {}
export const silent: Logger = {
  trace: silence,
  debug: silence,
  info: silence,
  warn: silence,
  error: silence,
  getChild: () => silent,
}

// Parts of the SDK ignore the given logger, and use their own.
for (const method of ['trace', 'debug', 'info', 'warn', 'error', 'log'])
  Object.assign(sdkLogger, { [method]: silence, getChild: () => silent })

// Before a client backs up keys, it waits up to ten seconds, so that many clients do not do so at once.
Object.assign(RustBackupManager, { maxBackupLoopStartDelayMillis: 0 })

/**
 * Starts matrix-js-sdk logged in as a user and synced, as Element Web runs it; `crypto`: with encryption; `fetchFn`: in
 * place of `fetch`. `kept`: the prefix of databases in `globalThis.indexedDB`, in which the client keeps its keys and
 * what it has synced, and finds them again; absent: in memory. Stop it with `stopClient()`.
 */
export async function startSdk(
  user: TestUser,
  crypto?: CryptoCallbacks,
  { fetchFn, kept }: { fetchFn?: typeof fetch; kept?: string } = {},
): Promise<MatrixClient> {
  const store =
    kept === undefined
      ? new MemoryStore()
      : new IndexedDBStore({ indexedDB: Reflect.get(globalThis, 'indexedDB'), dbName: `${kept} sync` })
  const client = createClient({
    baseUrl: user.url,
    userId: user.userId,
    deviceId: user.deviceId,
    accessToken: user.accessToken,
    store,
    timelineSupport: true,
    logger: silent,
    ...(crypto && { cryptoCallbacks: crypto }),
    ...(fetchFn && { fetchFn }),
  })
  await store.startup()
  if (crypto) {
    await client.initRustCrypto({ useIndexedDB: kept !== undefined, ...(kept && { cryptoDatabasePrefix: kept }) })
    // As Element does with displayed events: by itself the SDK decrypts only the last event of a sync, and misses steps
    // of verifications.
    client.on(ClientEvent.Event, (event) => void client.decryptEventIfNeeded(event))
  }
  const synced = new Promise<void>((resolve, reject) => {
    client.on(ClientEvent.Sync, (state, _previous, data) => {
      if (state === SyncState.Prepared) resolve()
      if (state === SyncState.Error) reject(data?.error ?? new Error('sync failed'))
    })
  })
  await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true, threadSupport: true })
  await synced
  return client
}
