import type { Documents, Node, Place } from './resolve-references.ts'

/** Keywords without effect on validity. */
const DROPPED = ['description', 'title', 'format', 'default', 'deprecated', 'externalDocs']
const EXAMPLES = ['example', 'examples']
/** Keywords whose values are maps of schemas, so that their keys are names. */
const MAPS = ['properties', 'patternProperties', 'definitions', '$defs', 'dependentSchemas']

export type SchemaCollection = {
  /** Returns a schema without texts; its references are added to the definitions. */
  take(place: Place): object
  definitions: Record<string, object>
}

/** Collects schemas and all that they refer to. `keepExamples`: with their examples. */
export function collectSchemas(documents: Documents, { keepExamples = false } = {}): SchemaCollection {
  const dropped = keepExamples ? DROPPED : [...DROPPED, ...EXAMPLES]
  const definitions: Record<string, object> = {}
  function take({ file, node }: Place): Node {
    if (Array.isArray(node)) return node.map((each) => take({ file, node: each }))
    if (typeof node !== 'object' || node === null) return node
    const kept: Record<string, Node> = {}
    for (const [key, value] of Object.entries<Node>(node)) {
      if (dropped.includes(key) || key.startsWith('x-')) continue
      if (EXAMPLES.includes(key)) kept[key] = value
      else if (key === '$ref') kept.$ref = refer(file, value)
      else if (MAPS.includes(key)) kept[key] = takeMap(file, value)
      else kept[key] = key === 'enum' || key === 'const' || key === 'required' ? value : take({ file, node: value })
    }
    return kept
  }
  function takeMap(file: string, map: Node): Node {
    return Object.fromEntries(Object.entries(map ?? {}).map(([name, node]) => [name, take({ file, node })]))
  }
  function refer(from: string, reference: string): string {
    const { name, ...place } = documents.resolve(from, reference)
    if (!definitions[name]) {
      definitions[name] = {}
      definitions[name] = take(place)
    }
    return `#/$defs/${name}`
  }
  return { take, definitions }
}
