import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { MAX_OLD_KEYS } from '../../../core/signing/server-key-response.ts'
import { formatSigningKey, type SigningKey } from '../../../core/signing/signing-key.ts'
import { CHANGE_MS, generateSigningKey } from '../../../infra/federation/signing-keys.ts'
import { replaceServerSecret } from '../../../storage/engine/server-secrets.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import {
  loadOwnKeys,
  lockOwnKeys,
  type OwnKey,
  SIGNING_KEY_SECRET,
  useOwnKey,
} from '../../../storage/federation/own-keys.ts'

/** Returns the keys with which this server signs or signed: the current one, then the others, the newest first. */
export async function listSigningKeys(app: Pick<App, 'database'>): Promise<OwnKey[]> {
  const end = ({ expired_ts }: OwnKey) => expired_ts ?? Number.MAX_SAFE_INTEGER
  return (await loadOwnKeys(app.database)).sort((one, other) => end(other) - end(one))
}

/**
 * Replaces the signing key by a new one in the database. All processes publish both keys from the commit on, and sign
 * with the new one as soon as they have read it, so other servers can always verify. Returns all keys. Throws
 * InvalidParamError if the key was replaced within the last hour, or too often.
 */
export async function rotateSigningKey(app: Pick<App, 'database' | 'clock' | 'random'>): Promise<OwnKey[]> {
  await app.database.write(async (tx) => {
    await lockOwnKeys(tx)
    const known = await loadOwnKeys(tx)
    requireRotatable(known, app.clock.now())
    const key = newKey(app, known)
    await replaceServerSecret(tx, SIGNING_KEY_SECRET, formatSigningKey(key))
    await useOwnKey(tx, key, app.clock.now() + CHANGE_MS)
    appendToStream(tx, { kind: 'signing_key' })
  })
  return listSigningKeys(app)
}

function requireRotatable(known: readonly OwnKey[], now: number): void {
  const until = Math.max(...known.map(({ expired_ts }) => expired_ts ?? 0))
  if (until > now)
    throw new InvalidParamError(
      `The signing key was replaced within the last hour. Try again after ${new Date(until).toISOString()}, when the previous key is no longer valid.`,
    )
  if (known.length > MAX_OLD_KEYS)
    throw new InvalidParamError(
      `This server has ${MAX_OLD_KEYS} old signing keys. It keeps the current one, because other servers accept no more.`,
    )
}

function newKey({ random }: Pick<App, 'random'>, known: readonly OwnKey[]): SigningKey {
  const key = generateSigningKey(random)
  // Another key of that version could no longer be verified.
  return known.some(({ key_id }) => key_id === key.keyId) ? newKey({ random }, known) : key
}
