import { parsePropertyPath } from '../json/property-path.ts'
import type { Json, JsonObject } from '../pdu.ts'

/**
 * Returns a new object with the properties at the paths of `event_fields`; values are shared.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter
 */
export function pickFields(event: JsonObject, event_fields: readonly string[]): JsonObject {
  let tree = trees.get(event_fields)
  if (!tree) {
    tree = treeOf(event_fields)
    trees.set(event_fields, tree)
  }
  return pick(event, tree)
}

/** The parsed paths of a filter's list, cached with the list. */
const trees = new WeakMap<readonly string[], Tree>()

/** By property name: take everything, or the part below it. */
type Tree = Map<string, Tree | 'everything'>

function treeOf(paths: readonly string[]): Tree {
  const root: Tree = new Map()
  for (const path of paths) {
    const names = parsePropertyPath(path)
    const last = names.pop() as string
    let tree: Tree | 'everything' = root
    for (const name of names) tree = tree === 'everything' ? tree : branch(tree, name)
    if (tree !== 'everything') tree.set(last, 'everything')
  }
  return root
}

function branch(tree: Tree, name: string): Tree | 'everything' {
  const existing = tree.get(name)
  if (existing) return existing
  const created: Tree = new Map()
  tree.set(name, created)
  return created
}

function pick(source: JsonObject, tree: Tree): JsonObject {
  // Object.fromEntries, because assignment to a key such as `__proto__` would not create a property.
  const entries: [string, Json][] = []
  for (const [name, part] of tree) {
    const value = Object.hasOwn(source, name) ? source[name] : undefined
    if (value === undefined) continue
    if (part === 'everything') entries.push([name, value])
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      entries.push([name, pick(value, part)])
  }
  return Object.fromEntries(entries)
}
