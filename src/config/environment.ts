import { parse } from 'yaml'
import type { ConfigTree } from './file.ts'
import { CONFIG_KEYS, type ConfigKey } from './keys.ts'
import { nearest } from './nearest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'HEARTH_'

/** Names the configuration file, for where there is no command line. */
export const CONFIG_FILE_VARIABLE = 'HEARTH_CONFIG'

/**
 * Puts what the HEARTH_ variables say into `tree`, over what stands there. Returns the paths set, with their variables, and each variable that names no
 * key, with the one that may have been meant. Such variables need not be mistakes: for a service called hearth, Kubernetes sets HEARTH_PORT,
 * HEARTH_SERVICE_HOST and more.
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

/** Compares what follows the prefix, which would make all names alike. */
function suggestion(variable: string, known: readonly string[]): string {
  const names = known.map((name) => name.slice(PREFIX.length))
  const meant = nearest(variable.slice(PREFIX.length), names)
  return meant === undefined ? '' : ` (did you mean ${PREFIX}${meant}?)`
}

/** Text that is not of the key's kind stays text, for the schema to refuse. */
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

/** A section that the file gives another type is left alone: the schema reports the file's mistake. */
function setAt(tree: ConfigTree, path: readonly string[], value: unknown): void {
  let section = tree
  for (const name of path.slice(0, -1)) {
    section[name] ??= {}
    if (typeof section[name] !== 'object' || Array.isArray(section[name])) return
    section = section[name] as ConfigTree
  }
  section[path.at(-1)!] = value
}
