import { parse } from 'yaml'
import type { ConfigTree } from './file.ts'
import { CONFIG_KEYS, type ConfigKey } from './keys.ts'
import { nearest } from './nearest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'HEARTH_'

/** Names the configuration file if the command line does not. */
export const CONFIG_FILE_VARIABLE = 'HEARTH_CONFIG'

/**
 * Writes the values of the HEARTH_ variables into `tree`, over its own. Returns the paths set, with their variables,
 * and each variable that matches no key, with the nearest one. Unknown variables are not errors: Kubernetes sets
 * HEARTH_PORT, HEARTH_SERVICE_HOST and more for a service called hearth.
 */
export function applyEnvironment(
  tree: ConfigTree,
  env: Environment,
): { setBy: Map<string, string>; ignored: string[] } {
  const keys = new Map(CONFIG_KEYS.filter((key) => !key.isSection).map((key) => [key.variable, key]))
  const setBy = new Map<string, string>()
  const ignored: string[] = []
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || variable === CONFIG_FILE_VARIABLE || text === undefined) continue
    const key = keys.get(variable)
    if (key) {
      setAt(tree, key.path, parseText(text, key.kind))
      setBy.set(key.path.join('.'), variable)
    } else {
      ignored.push(variable + suggestion(variable, [...keys.keys(), CONFIG_FILE_VARIABLE]))
    }
  }
  return { setBy, ignored: ignored.sort() }
}

/** Compares names without the prefix, which would make all of them similar. */
function suggestion(variable: string, known: readonly string[]): string {
  const names = known.map((name) => name.slice(PREFIX.length))
  const meant = nearest(variable.slice(PREFIX.length), names)
  return meant === undefined ? '' : ` (did you mean ${PREFIX}${meant}?)`
}

/** Returns text that is not of the key's kind unchanged: the schema refuses it. */
function parseText(text: string, kind: ConfigKey['kind']): unknown {
  if (kind === 'boolean') return { true: true, '1': true, false: false, '0': false }[text.toLowerCase()] ?? text
  if (kind === 'number') return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text
  if (kind === 'yaml') return parseYaml(text)
  return text
}

function parseYaml(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return text
  }
}

/** Ignores a section to which the file gives another type: the schema reports that. */
function setAt(tree: ConfigTree, path: readonly string[], value: unknown): void {
  let section = tree
  for (const name of path.slice(0, -1)) {
    section[name] ??= {}
    if (typeof section[name] !== 'object' || Array.isArray(section[name])) return
    section = section[name] as ConfigTree
  }
  section[path.at(-1)!] = value
}
