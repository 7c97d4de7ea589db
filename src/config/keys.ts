import { z } from 'zod'
import { configSchema } from './schema.ts'

/** One key of the configuration file. */
export type ConfigKey = {
  /** Such as ['database', 'url']. */
  path: readonly string[]
  description: string
  /** A section holds further keys. */
  isSection: boolean
  /** The default, as it would be written in the file; undefined if there is none. */
  defaultValue: unknown
  /** An example for a key without default. */
  example: unknown
  /** How to parse the environment variable. */
  kind: 'text' | 'number' | 'boolean' | 'yaml'
  /** Such as HEARTH_DATABASE_URL. */
  variable: string
}

type Unwrapped = { inner: z.core.$ZodType; defaultValue: unknown }

/** All keys in the schema's order, each section before its members. */
export const CONFIG_KEYS: readonly ConfigKey[] = listKeys(configSchema, [])

function listKeys(schema: z.core.$ZodType, parent: readonly string[]): ConfigKey[] {
  if (!(schema instanceof z.ZodObject)) return []
  return Object.entries(schema.shape as z.core.$ZodShape).flatMap(([name, member]) => {
    const path = [...parent, name]
    const { inner, defaultValue } = unwrap(member)
    const meta = z.globalRegistry.get(member)
    const isSection = inner instanceof z.ZodObject
    const key: ConfigKey = {
      path,
      description: meta?.description ?? '',
      isSection,
      defaultValue: isSection ? undefined : defaultValue,
      example: meta?.example,
      kind: kindOf(inner),
      variable: `HEARTH_${path.join('_').toUpperCase()}`,
    }
    return [key, ...listKeys(inner, path)]
  })
}

function unwrap(schema: z.core.$ZodType): Unwrapped {
  if (schema instanceof z.ZodPrefault) return { ...unwrap(schema.def.innerType), defaultValue: schema.def.defaultValue }
  if (schema instanceof z.ZodOptional) return unwrap(schema.def.innerType)
  if (schema instanceof z.ZodPipe) return unwrap(schema.def.in)
  return { inner: schema, defaultValue: undefined }
}

function kindOf(schema: z.core.$ZodType): ConfigKey['kind'] {
  if (schema instanceof z.ZodBoolean) return 'boolean'
  if (schema instanceof z.ZodNumber) return 'number'
  if (schema instanceof z.ZodArray) return 'yaml'
  return 'text'
}

/** Returns the names of the keys in the section or list element at `path`. */
export function keysInside(path: readonly PropertyKey[]): string[] {
  let schema: z.core.$ZodType = configSchema
  for (const step of path) {
    const { inner } = unwrap(schema)
    if (inner instanceof z.ZodArray) schema = inner.element
    else if (inner instanceof z.ZodObject) schema = inner.shape[String(step)]
  }
  const { inner } = unwrap(schema)
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}
