import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type BodyProperty = { types: string[]; required?: true }

/** An operation of the client-server API, as the specification's OpenAPI has it. */
export type Operation = {
  method: string
  /** With `{parameters}`. */
  path: string
  /** The version of the specification that has it first, where that is said. */
  since?: string
  auth: 'none' | 'optional' | 'user'
  deprecated?: true
  /** Names of the parameters of its query. */
  query: string[]
  /** Properties of its JSON body; absent: it has no JSON body. */
  body?: Record<string, BodyProperty>
}

/** JSON schemas by `METHOD /path` and status. */
export type Responses = Record<string, Record<string, object>>

/** All operations of the client-server API; generate.ts writes them. */
export function loadOperations(): Operation[] {
  return read('client-server.json') as Operation[]
}

/** The schemas of their JSON answers, and the definitions that these refer to as `#/$defs/…`. */
export function loadResponses(): { operations: Responses; $defs: Record<string, object> } {
  return read('client-server-responses.json') as { operations: Responses; $defs: Record<string, object> }
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8'))
}
