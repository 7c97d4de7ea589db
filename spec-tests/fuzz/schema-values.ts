import fc from 'fast-check'
import { kindOfExample, kindOfName, referTo } from './references.ts'

/** A JSON schema of the specification. */
type Schema = {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  example?: unknown
  pattern?: string
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  required?: string[]
  items?: Schema
  allOf?: Schema[]
  oneOf?: Schema[]
  anyOf?: Schema[]
}
export type Definitions = Record<string, object>

const WORD = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('tea', 'hello', 'x', 'm.text', 'org.example.any', 'a b', 'Überraschung', '🦔'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
)
const NUMBER = fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat() })
const MAX_ITEMS = 4
/** Below this depth values are as short as possible. */
const MAX_DEPTH = 8

/**
 * Generates values that a schema allows, or its examples, with references in place of IDs. `name`: the key or
 * parameter, which determines the references.
 */
export function valuesOf(schema: object, definitions: Definitions, name = ''): fc.Arbitrary<unknown> {
  return arbitraryOf(schema, { definitions, depth: 0 }, name)
}

/** Returns an example with references in place of its IDs. */
export function generalise(example: unknown, name = ''): unknown {
  if (Array.isArray(example)) return example.map((each) => generalise(each, name))
  if (typeof example === 'object' && example !== null) {
    const members = Object.entries(example).map(([key, inner]) => [generalise(key), generalise(inner, key)])
    return Object.fromEntries(members)
  }
  if (typeof example !== 'string') return example
  // A type in an example fits the rest of it.
  const kind = kindOfExample(example) ?? (name === 'type' || name === 'version' ? undefined : kindOfName(name))
  return kind ? referTo(kind) : example
}

type Context = { definitions: Definitions; depth: number }

function arbitraryOf(given: Schema, context: Context, name: string): fc.Arbitrary<unknown> {
  const schema = merged(given, context.definitions)
  const generated = generatedBy(schema, { ...context, depth: context.depth + 1 }, name)
  if (schema.example === undefined) return generated
  const example = fc.constant(generalise(schema.example, name))
  return fc.oneof({ weight: 2, arbitrary: example }, { weight: 1, arbitrary: generated })
}

function generatedBy(schema: Schema, context: Context, name: string): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.oneOf ?? schema.anyOf
  if (choices) return fc.oneof(...choices.map((each) => arbitraryOf(each, context, name)))
  const types = [schema.type ?? (schema.properties ? 'object' : 'any')].flat()
  return fc.oneof(...types.map((type) => ofType(type, schema, { context, name })))
}

function ofType(
  type: string,
  schema: Schema,
  { context, name }: { context: Context; name: string },
): fc.Arbitrary<unknown> {
  switch (type) {
    case 'object':
      return objectOf(schema, context)
    case 'array':
      return fc.array(arbitraryOf(schema.items ?? {}, context, name), { maxLength: MAX_ITEMS })
    case 'string':
      return stringOf(schema, name)
    case 'integer':
      return NUMBER
    case 'number':
      return fc.oneof(NUMBER, fc.double({ min: 0, max: 1, noNaN: true }))
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function stringOf({ pattern = '' }: Schema, name: string): fc.Arbitrary<string> {
  const kind = kindOfPattern(pattern) ?? kindOfName(name)
  if (!kind) return WORD
  const reference = fc.constant(referTo(kind))
  return fc.oneof({ weight: 9, arbitrary: reference }, { weight: 1, arbitrary: WORD })
}

function kindOfPattern(pattern: string) {
  return kindOfExample(pattern.replace(/^\^/, '').padEnd(2, 'x').concat(':x'))
}

function objectOf(schema: Schema, context: Context): fc.Arbitrary<object> {
  const { properties = {}, required = [], additionalProperties, patternProperties = {} } = schema
  const isDeep = context.depth > MAX_DEPTH
  const taken = Object.entries(properties).filter(([name]) => !isDeep || required.includes(name))
  const members = taken.map(([name, inner]) => [name, arbitraryOf(inner, context, name)] as const)
  const record = fc.record(Object.fromEntries(members), {
    requiredKeys: required.filter((name) => Object.hasOwn(properties, name)),
  })
  const others = Object.entries(patternProperties).map(([pattern, inner]) => mapOf(pattern, inner, context))
  if (typeof additionalProperties === 'object') others.push(mapOf('', additionalProperties, context))
  if (others.length === 0 || isDeep) return record
  return fc.tuple(record, ...others).map((parts) => Object.assign({}, ...parts))
}

function mapOf(pattern: string, inner: Schema, context: Context): fc.Arbitrary<object> {
  const kind = kindOfPattern(pattern)
  const key = kind ? fc.constant(referTo(kind)) : WORD
  return fc.dictionary(key, arbitraryOf(inner, context, ''), { maxKeys: 3 })
}

/** Merges a schema with its references and compositions. */
function merged(given: Schema, definitions: Definitions): Schema {
  const schema: Schema = given.$ref
    ? { ...merged((definitions[given.$ref.replace('#/$defs/', '')] ?? {}) as Schema, definitions), ...given }
    : given
  if (!schema.allOf) return schema
  const parts = [...schema.allOf.map((each) => merged(each, definitions)), { ...schema, allOf: [] }]
  return Object.assign({}, ...parts, {
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required = [] }) => required),
  })
}
