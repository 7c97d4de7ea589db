import { expect } from 'vitest'

/**
 * The form of a JSON value. A text: its type, followed by `?` if null is possible too. An object: exactly these keys; a
 * key that ends with `?` may be absent, one that begins with `+` is of Hearth alone, with `-` of Synapse alone. With
 * the key `*`, further keys are possible. A list of one form: a list with at least one item, all of that form.
 */
export type Shape = Kind | `${Kind}?` | readonly [Shape] | Fields
/** The form of an object, by keys. */
export type Fields = { readonly [key: string]: Shape }
type Kind = 'string' | 'number' | 'boolean' | 'object' | 'list'

/** Requires that a value has a form. */
export function requireShape(value: unknown, shape: Shape, at: { path: string; isHearth: boolean }): void {
  const { path, isHearth } = at
  if (typeof shape === 'string') {
    if (shape.endsWith('?') && value === null) return
    const kind = shape.replace('?', '')
    // SQLite, on which Synapse runs here, has no booleans.
    if (!isHearth && kind === 'boolean' && (value === 0 || value === 1)) return
    expect(kindOf(value), path).toBe(kind)
    return
  }
  if (Array.isArray(shape)) {
    expect(kindOf(value), path).toBe('list')
    expect((value as unknown[]).length, `items of ${path}`).toBeGreaterThan(0)
    for (const item of value as unknown[]) requireShape(item, shape[0], { path: `${path}[]`, isHearth })
    return
  }
  expect(kindOf(value), path).toBe('object')
  const fields = Object.entries(shape as Fields)
    .filter(([key]) => key !== '*' && !key.startsWith(isHearth ? '-' : '+'))
    .map(([key, form]) => ({ name: key.replace(/^[+-]|\?$/g, ''), form, isOptional: key.endsWith('?') }))
  const object = value as Record<string, unknown>
  const expected = fields.filter(({ name, isOptional }) => !isOptional || name in object).map(({ name }) => name)
  const isOpen = '*' in (shape as Fields)
  const found = Object.keys(object).filter((key) => !isOpen || expected.includes(key))
  expect(found.sort(), `fields of ${path}`).toEqual(expected.sort())
  for (const { name, form } of fields) {
    if (name in object) requireShape(object[name], form, { path: `${path}.${name}`, isHearth })
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  return value === null ? 'null' : typeof value
}

/** An event, as clients get it. */
export const EVENT: Fields = {
  ...{ type: 'string', sender: 'string', content: 'object', event_id: 'string', room_id: 'string' },
  ...{ origin_server_ts: 'number', '*': 'object' },
}
