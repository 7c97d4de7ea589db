import { readFileSync } from 'node:fs'
import { isCollection, isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { ConfigError } from './config-error.ts'
import type { Locate } from './problems.ts'

export type ConfigTree = { [key: string]: unknown }

/**
 * Reads a YAML (or JSON) file. Returns its tree, without empty keys, and a function that locates a key. Throws
 * ConfigError if the file cannot be read or parsed.
 */
export function readConfigFile(file: string): { tree: ConfigTree; locate: Locate } {
  const lines = new LineCounter()
  const document = parseDocument(readText(file), { lineCounter: lines, prettyErrors: false })
  const error = document.errors[0]
  if (error) throw new ConfigError([`${file}:${lines.linePos(error.pos[0]).line}: not valid YAML: ${error.message}`])
  const locate: Locate = (path) => {
    const offset = offsetOf(document.contents, path)
    return offset === undefined ? file : `${file}:${lines.linePos(offset).line}`
  }
  const tree: unknown = document.toJS() ?? {}
  if (typeof tree !== 'object' || Array.isArray(tree) || tree === null) {
    throw new ConfigError([`${file}: expected keys and values such as 'server_name: example.org'`])
  }
  return { tree: withoutEmpty(tree) as ConfigTree, locate }
}

/** Returns the reason why a file cannot be read, in words. */
export function whyUnreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return code ?? String(error)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([`${file}: cannot read the configuration file: ${whyUnreadable(error)}`])
  }
}

/**
 * Returns the offset of the deepest part of `path` that the file contains: the name of a key, or an element of a list.
 */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number | undefined {
  let node: unknown = root
  let offset: number | undefined
  for (const step of path) {
    if (!isCollection(node)) break
    const item = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === step)
      : node.items[Number(step)]
    if (item === undefined) break
    const named = isPair(item) ? item.key : item
    offset = (named as Node).range?.[0] ?? offset
    node = isPair(item) ? item.value : item
  }
  return offset
}

/** A section whose keys are all commented out is null in YAML; it means the defaults. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, member]) => member !== null)
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutEmpty(member)]))
}
