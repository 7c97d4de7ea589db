import { z } from 'zod'
import { BadJsonError } from '../errors.ts'
import { isStorableName } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import type { JsonObject } from '../pdu.ts'

const name = z
  .string()
  .min(1)
  .refine((text) => isStorableName(text), 'must have at most 255 bytes, without NUL')
const signatures = z.record(z.string(), z.record(z.string(), z.string()))

const deviceKeys = z.looseObject({
  user_id: z.string(),
  device_id: z.string(),
  algorithms: z.array(z.string()),
  keys: z.record(z.string(), z.string()),
  signatures,
})

const crossSigningKey = z.looseObject({
  user_id: z.string(),
  usage: z.array(z.string()),
  keys: z.record(name, z.string()),
  signatures: signatures.optional(),
})

const USAGES = ['master', 'self_signing', 'user_signing'] as const
const uploadedCrossSigningKey = crossSigningKey.extend({ usage: z.array(z.enum(USAGES)) })

const oneTimeKey = z.union([z.string(), z.looseObject({ key: z.string(), signatures })], {
  error: 'is neither a string nor an object with key and signatures',
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload: DeviceKeys */
export type DeviceKeysObject = z.output<typeof deviceKeys>
/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload: CrossSigningKey */
export type CrossSigningKeyObject = z.output<typeof crossSigningKey>

/** The identity keys of a device as a client uploads them. Throws BadJsonError. */
export function parseDeviceKeys(object: unknown): DeviceKeysObject {
  return parse(deviceKeys, object, 'device_keys')
}

type ParsedCrossSigningKey = { key: CrossSigningKeyObject; publicKey: string }

/** Parses a cross-signing key as a client uploads it. Throws BadJsonError. */
export function parseUploadedCrossSigningKey(object: unknown): ParsedCrossSigningKey {
  return withPublicKey(parse(uploadedCrossSigningKey, object, 'key'))
}

/**
 * Parses a cross-signing key of another server, which may have usages that this specification does not define. Throws
 * BadJsonError.
 */
export function parseCrossSigningKey(object: unknown): ParsedCrossSigningKey {
  return withPublicKey(parse(crossSigningKey, object, 'key'))
}

/** Checks a one-time or fallback key that a client uploads. Throws BadJsonError. */
export function checkOneTimeKey(name: string, key: unknown): void {
  parse(oneTimeKey, key, name)
}

/** Adds the public part of a key, which has exactly one, named after itself. */
function withPublicKey(key: CrossSigningKeyObject): ParsedCrossSigningKey {
  const [entry, ...others] = Object.entries(key.keys)
  if (!entry || others.length > 0 || entry[0] !== `ed25519:${entry[1]}`) {
    throw new BadJsonError('keys: needs exactly one entry, ed25519:<public key> with the public key')
  }
  return { key, publicKey: entry[1] }
}

/** The two parts of the name of a one-time or fallback key, `<algorithm>:<key_id>`. Throws BadJsonError. */
export function parseKeyName(text: string): { algorithm: string; key_id: string } {
  const [, algorithm, id] = /^([^:]+):(.+)$/s.exec(text) ?? []
  if (algorithm === undefined || id === undefined || ![algorithm, id].every((part) => isStorableName(part)))
    throw new BadJsonError(`${text}: is not <algorithm>:<key id>, of at most 255 bytes each`)
  return { algorithm, key_id: id }
}

/**
 * Returns the text to store for a key: canonical JSON, so that equal keys have equal texts, without `unsigned`, which
 * servers add. Throws BadJsonError.
 */
export function keyText(key: string | JsonObject | DeviceKeysObject | CrossSigningKeyObject): string {
  if (typeof key === 'string') return canonicalJson(key)
  const { unsigned: _unsigned, ...rest } = key
  return canonicalJson(rest, { strict: false })
}

function parse<Schema extends z.ZodType>(schema: Schema, object: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(object)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new BadJsonError(`${[what, ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'is not valid'}`)
}
