import { readFileSync } from 'node:fs'
import {
  formatSigningKey,
  parseSigningKey,
  type SigningKey,
  signingKeyFromSeed,
} from '../../core/signing/signing-key.ts'
import type { Database, Db, Tx } from '../../storage/engine/database.ts'
import { findServerSecret, serverSecret } from '../../storage/engine/server-secrets.ts'
import { loadOwnKeys, lockOwnKeys, SIGNING_KEY_SECRET, useOwnKey } from '../../storage/federation/own-keys.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { Random } from '../random.ts'
import type { StreamTail } from '../stream-tail.ts'

/** The key that this server signs events and requests with. Read `current` for each signature: keys are rotated. */
export type SigningKeys = { readonly current: SigningKey }

/** How long other processes may still sign with the previous key. */
export const CHANGE_MS = 3_600_000
const RETRY_MS = 1000

type Sources = {
  database: Database
  stream: Pick<StreamTail, 'subscribe'>
  /** Holds a key, if it exists, such as Synapse's `signing.key`. */
  file: string
  clock: Clock
  random: Random
  logger: Logger
}

/**
 * Loads the signing key, records it as the current one, and follows its rotation by any process. It comes from the file
 * if there is one, unless that key was rotated; otherwise from the database, where the first start creates it. Throws a
 * MatrixError if the file does not contain a key.
 */
export async function openSigningKeys(from: Sources): Promise<SigningKeys & { stop(): void }> {
  let retry: NodeJS.Timeout | undefined
  let isStopped = false
  // Subscribed before the key is loaded, so that no rotation is missed.
  const unsubscribe = from.stream.subscribe((rows) => {
    if (rows.some(({ kind }) => kind === 'signing_key')) void reload()
  })
  let loading: Promise<SigningKey> | undefined = from.database.write((tx) => claimKey(tx, from))
  let current: SigningKey
  try {
    current = await loading
  } catch (error) {
    unsubscribe()
    throw error
  }
  loading = undefined

  async function reload(): Promise<void> {
    try {
      await loading
      const rotated = await findKeyInUse(from.database)
      if (rotated) current = rotated
    } catch (error) {
      from.logger.warn({ err: error }, 'rotated signing key not loaded, will retry')
      if (!isStopped) retry = setTimeout(reload, RETRY_MS).unref()
    }
  }

  return {
    get current() {
      return current
    },
    stop() {
      isStopped = true
      unsubscribe()
      clearTimeout(retry)
    },
  }
}

/** Returns a new key with a random version. */
export function generateSigningKey(random: Random): SigningKey {
  return signingKeyFromSeed(`a_${random.token(4)}`, random.bytes(32))
}

/** Returns the key to sign with, and records that the previous one, if it is another, is no longer in use. */
async function claimKey(tx: Tx, { file, clock, random, logger }: Sources): Promise<SigningKey> {
  await lockOwnKeys(tx)
  const inFile = readIfThere(file)
  const rotated = inFile === undefined ? undefined : await findSuccessor(tx, parseSigningKey(inFile))
  if (rotated) logger.warn({ file, key_id: rotated.keyId }, 'signing key in file was rotated, key in database is used')
  const text =
    inFile ?? (await serverSecret(tx, SIGNING_KEY_SECRET, () => formatSigningKey(generateSigningKey(random))))
  const key = rotated ?? parseSigningKey(text)
  const inUse = (await loadOwnKeys(tx)).filter(({ expired_ts }) => expired_ts === null)
  const isRecorded = inUse.length === 1 && isSame(inUse[0]!, key)
  if (!isRecorded) await useOwnKey(tx, key, clock.now() + CHANGE_MS)
  return key
}

/** Returns the key in the database that has replaced a key; undefined if it was not replaced. */
async function findSuccessor(db: Db, key: SigningKey): Promise<SigningKey | undefined> {
  const known = (await loadOwnKeys(db)).find((own) => isSame(own, key))
  return known === undefined || known.expired_ts === null ? undefined : findKeyInUse(db)
}

/** Returns the key in the database if this server signs with it; undefined if it signs with that in a file. */
async function findKeyInUse(db: Db): Promise<SigningKey | undefined> {
  const text = await findServerSecret(db, SIGNING_KEY_SECRET)
  if (text === undefined) return undefined
  const key = parseSigningKey(text)
  const known = (await loadOwnKeys(db)).find((own) => isSame(own, key))
  return known?.expired_ts === null ? key : undefined
}

function isSame(own: { key_id: string; public_key: string }, key: SigningKey): boolean {
  return own.key_id === key.keyId && own.public_key === key.publicKey
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
