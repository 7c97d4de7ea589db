import { z } from 'zod'
import { isStorableName, type ServerName } from '../ids.ts'
import { decodeBase64 } from '../text/base64.ts'
import type { Signatures } from './sign-json.ts'
import { verifyJson } from './verify-json.ts'

/** A signing key that a server publishes. */
export type PublishedKey = {
  keyId: string
  /** Base64 */
  publicKey: string
  /** Milliseconds since 1970: later signatures by the key are invalid. */
  validUntil: number
  /** An old key: valid for old events, not for requests. */
  retired: boolean
}

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server */
export type ServerKeyResponse = {
  server_name: ServerName
  valid_until_ts: number
  verify_keys: Record<string, { key: string }>
  old_verify_keys: Record<string, { key: string; expired_ts: number }>
  signatures: Signatures
}

const MAX_TRUST_MS = 7 * 24 * 3_600_000
const isKey = (text: string) => decodeBase64(text)?.length === 32
const publicKey = z.string().refine(isKey, 'is not a key')
const ALGORITHM = 'ed25519:'
const keyId = z
  .string()
  .startsWith(ALGORITHM)
  .refine((id) => id.length > ALGORITHM.length && isStorableName(id))
const timestamp = z.int().min(0)
/** Each key is stored with the whole response. Servers have one or two keys and a few old ones. */
const MAX_KEYS = 32
export const MAX_OLD_KEYS = 100
const isFew = (keys: object, most: number) => Object.keys(keys).length <= most

const schema = z.looseObject({
  server_name: z.string(),
  valid_until_ts: timestamp,
  verify_keys: z
    .record(keyId, z.looseObject({ key: publicKey }))
    .refine((keys) => isFew(keys, MAX_KEYS), 'are too many'),
  old_verify_keys: z
    .record(keyId, z.looseObject({ key: publicKey, expired_ts: timestamp }))
    .refine((keys) => isFew(keys, MAX_OLD_KEYS), 'are too many')
    .default({}),
  signatures: z.record(z.string(), z.record(z.string(), z.string())),
})

/**
 * Returns the keys in a server's response; `undefined` if it is malformed, has too many keys, belongs to another
 * server, or lacks a signature by one of its current keys. A key is valid for at most seven days from `now` before it
 * must be fetched again.
 */
export function readServerKeys(answer: unknown, serverName: ServerName, now: number): PublishedKey[] | undefined {
  const { success, data } = schema.safeParse(withoutUnknownAlgorithms(answer))
  if (!success || data.server_name !== serverName) return undefined
  const inUse = Object.entries(data.verify_keys)
  if (!inUse.some(([keyId, { key }]) => verifyJson(answer, serverName, keyId, key))) return undefined
  const validUntil = Math.min(data.valid_until_ts, now + MAX_TRUST_MS)
  return [
    ...Object.entries(data.old_verify_keys)
      .filter(([keyId]) => !Object.hasOwn(data.verify_keys, keyId))
      .map(([keyId, { key, expired_ts }]) => ({ keyId, publicKey: key, validUntil: expired_ts, retired: true })),
    ...inUse.map(([keyId, { key }]) => ({ keyId, publicKey: key, validUntil, retired: false })),
  ]
}

/** Ignores keys of unknown algorithms. */
function withoutUnknownAlgorithms(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return answer
  const { verify_keys, old_verify_keys } = answer as Record<string, unknown>
  return { ...answer, verify_keys: ed25519Only(verify_keys), old_verify_keys: ed25519Only(old_verify_keys) }
}

function ed25519Only(keys: unknown): unknown {
  if (typeof keys !== 'object' || keys === null) return keys
  return Object.fromEntries(Object.entries(keys).filter(([keyId]) => keyId.startsWith('ed25519:')))
}
