import type { Operation } from '../../testing/openapi/operations.ts'
import { HOSTILE_JSON, HOSTILE_TEXT, UNREADABLE_BODIES, valuesOfOtherTypes } from './bad-values.ts'

/** An invalid request; `what` describes the error. */
export type BadRequest = { what: string; method: string; path: string; body?: string | Buffer }

/** Values for the parameters of a path, by name, not encoded. */
export type PathValues = Record<string, string>

/** Returns requests that must be refused, regardless of the sender. */
export function requestsToRefuse(operation: Operation, values: PathValues): BadRequest[] {
  const { method, body = {} } = operation
  const path = fillPath(operation, values)
  if (!operation.body) return []
  const sample = sampleBody(operation)
  const unreadable = Object.entries(UNREADABLE_BODIES).map(([what, text]) => ({ what, method, path, body: text }))
  const wrongTypes = Object.entries(body).flatMap(([name, { types }]) =>
    valuesOfOtherTypes(types).map((value) => {
      const text = JSON.stringify({ ...sample, [name]: value })
      return { what: `${name}: ${JSON.stringify(value)}`, method, path, body: text }
    }),
  )
  const missing = Object.entries(body)
    .filter(([, { required }]) => required)
    .map(([name]) => {
      const { [name]: _, ...rest } = sample
      return { what: `no ${name}`, method, path, body: JSON.stringify(rest) }
    })
  return [...unreadable, ...wrongTypes, ...missing]
}

/** Returns requests that may be refused or accepted, but must not harm the server or others. */
export function requestsToSurvive(operation: Operation, values: PathValues): BadRequest[] {
  return [...oddBodies(operation, values), ...oddPaths(operation, values), ...oddQueries(operation, values)]
}

function oddBodies(operation: Operation, values: PathValues): BadRequest[] {
  const { method } = operation
  if (!operation.body) return []
  const path = fillPath(operation, values)
  const names = [...Object.keys(operation.body), ...(values.keyName ? [values.keyName] : []), 'm.relates_to', 'any']
  return names.flatMap((name) =>
    Object.entries(HOSTILE_JSON).map(([what, json]) => {
      const others = Object.entries(sampleBody(operation)).filter(([other]) => other !== name)
      const members = others.map(([other, value]) => `${JSON.stringify(other)}:${JSON.stringify(value)},`)
      return { what: `${name}: ${what}`, method, path, body: `{${members.join('')}${JSON.stringify(name)}:${json}}` }
    }),
  )
}

function oddPaths(operation: Operation, values: PathValues): BadRequest[] {
  const { method } = operation
  const body = operation.body && { body: JSON.stringify(sampleBody(operation)) }
  return parametersOf(operation).flatMap((name) =>
    Object.entries(HOSTILE_TEXT).map(([what, text]) => ({
      what: `${name}: ${what}`,
      method,
      path: fillPath(operation, values, { [name]: text }),
      ...body,
    })),
  )
}

function oddQueries(operation: Operation, values: PathValues): BadRequest[] {
  const { method } = operation
  const path = fillPath(operation, values)
  const body = operation.body && { body: JSON.stringify(sampleBody(operation)) }
  return [...operation.query, 'any'].flatMap((name) => [
    { what: `${name} twice`, method, path: `${path}?${name}=1&${name}=2`, ...body },
    ...Object.entries(HOSTILE_TEXT).map(([what, text]) => ({
      what: `?${name}: ${what}`,
      method,
      path: `${path}?${name}=${text}`,
      ...body,
    })),
  ])
}

/** Returns the path of an operation with these values; `encoded` ones are inserted as they are. */
export function fillPath(operation: Operation, values: PathValues, encoded: PathValues = {}): string {
  return operation.path.replace(
    /\{(\w+)\}/g,
    (_, name: string) => encoded[name] ?? encodeURIComponent(values[name] ?? 'x'),
  )
}

/** Returns a body with which an operation has an effect. */
export function properBody(operation: Operation): Record<string, unknown> {
  const sample = sampleBody(operation)
  // It accepts one of two bodies, so the schema requires no key of both.
  return operation.path.endsWith('/invite') ? { ...sample, user_id: '@nobody:hearth.test' } : sample
}

/** Returns the required query parameters of an operation, encoded. */
export function properQuery(operation: Operation): string {
  const needed: Record<string, string> = { version: '1', ts: '0', dir: 'f' }
  const given = operation.query.filter((name) => needed[name]).map((name) => `${name}=${needed[name]}`)
  return given.length > 0 ? `?${given.join('&')}` : ''
}

/** Returns the names of the path's parameters. */
export function parametersOf(operation: Operation): string[] {
  return [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
}

/** Returns a body with all required keys, of the right types. */
export function sampleBody(operation: Operation): Record<string, unknown> {
  const required = Object.entries(operation.body ?? {}).filter(([, property]) => property.required)
  return Object.fromEntries(required.map(([name, { types }]) => [name, sampleValue(name, types[0])]))
}

function sampleValue(name: string, type: string | undefined): unknown {
  if (name === 'user_id') return '@nobody:hearth.test'
  if (name === 'actions') return ['notify']
  if (name === 'visibility') return 'private'
  if (name === 'presence') return 'online'
  if (name === 'new_version') return '11'
  const samples: Record<string, unknown> = {
    string: 'text',
    integer: 1,
    number: 1,
    boolean: true,
    array: [],
    object: {},
  }
  return samples[type ?? 'object']
}
