import { readFileSync } from 'node:fs'
import {
  formatSigningKey,
  parseSigningKey,
  type SigningKey,
  signingKeyFromSeed,
} from '../../core/signing/signing-key.ts'
import type { Database, Db } from '../../storage/engine/database.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { loadOwnKeys, useOwnKey } from '../../storage/federation/own-keys.ts'
import type { Clock } from '../clock.ts'
import type { Random } from '../random.ts'

/**
 * Returns this server's signing key: from `file` if it exists (such as Synapse's `signing.key`), otherwise from the
 * database, which all processes share; it is created at the first start. Throws a MatrixError if the file does not
 * contain a key.
 */
export async function loadSigningKey(db: Db, file: string, random: Random): Promise<SigningKey> {
  const text = readIfThere(file) ?? (await serverSecret(db, 'signing_key', () => newKey(random)))
  return parseSigningKey(text)
}

/** How long other processes may still sign with the previous key. */
const CHANGE_MS = 3_600_000

/** Records the current key, and the expiry of the previous one if it changed: events signed with it stay verifiable. */
export async function recordOwnKey(database: Database, { keyId, publicKey }: SigningKey, clock: Clock): Promise<void> {
  const known = await loadOwnKeys(database)
  const inUse = known.filter((key) => key.expired_ts === null)
  if (inUse.length === 1 && inUse[0]?.key_id === keyId && inUse[0].public_key === publicKey) return
  await database.write((tx) => useOwnKey(tx, { keyId, publicKey }, clock.now() + CHANGE_MS))
}

function newKey(random: Random): string {
  return formatSigningKey(signingKeyFromSeed(`a_${random.token(4)}`, random.bytes(32)))
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
