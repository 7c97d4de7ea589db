/**
 * Splits a dot-separated property path into property names. A backslash escapes a dot or a backslash; elsewhere it is
 * literal. https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
 */
export function parsePropertyPath(path: string): string[] {
  const names = ['']
  for (let i = 0; i < path.length; i += 1) {
    let character = path[i] as string
    if (character === '.') {
      names.push('')
      continue
    }
    const next = path[i + 1]
    if (character === '\\' && (next === '.' || next === '\\')) {
      character = next
      i += 1
    }
    names[names.length - 1] += character
  }
  return names
}

/** Returns the value at a path inside objects, or undefined; arrays and inherited properties are not entered. */
export function valueAt(root: unknown, names: readonly string[]): unknown {
  let value = root
  for (const name of names) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
