import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type BodyProperty = { types: string[]; required?: true }

/** An operation of an API in the specification's OpenAPI. */
export type Operation = {
  method: string
  /** With `{parameters}`. */
  path: string
  /** The first version of the specification with it, if known. */
  since?: string
  auth: 'none' | 'optional' | 'user' | 'server'
  deprecated?: true
  /** Names of its query parameters. */
  query: string[]
  /** Properties of its JSON body; absent: it has no JSON body. */
  body?: Record<string, BodyProperty>
}

/** JSON schemas by `METHOD /path` and status. */
export type Responses = Record<string, Record<string, object>>

/** Requests between servers, as JSON schemas. */
export type Requests = {
  /** Bodies by `METHOD /path`. */
  operations: Record<string, object>
  /** Events by the first room version with their format. */
  pdus: Record<string, object>
  /** By `edu_type`. */
  edus: Record<string, object>
}

/**
 * The input of an operation: JSON schemas with examples, the required query parameters, and examples of whole bodies.
 */
export type Sample = { query: Record<string, object>; required: string[]; body?: object; examples?: unknown[] }

/** By `METHOD /path`. */
export type Samples = Record<string, Sample>

/** An example of an event in the specification. */
export type EventSample = { content: Record<string, unknown>; state_key?: string }

/** The APIs of the specification that Hearth serves. */
export const APIS = ['client-server', 'server-server'] as const
export type Api = (typeof APIS)[number]

/** Loads all operations of an API, which generate.ts has written. */
export function loadOperations(api: Api = 'client-server'): Operation[] {
  return read(`${api}.json`) as Operation[]
}

/** Loads the schemas of their JSON responses, and the definitions that these refer to as `#/$defs/…`. */
export function loadResponses(api: Api = 'client-server'): { operations: Responses; $defs: Record<string, object> } {
  return read(`${api}-responses.json`) as { operations: Responses; $defs: Record<string, object> }
}

/** Loads the schemas of requests between servers, and the definitions that these refer to as `#/$defs/…`. */
export function loadServerRequests(): Requests & { $defs: Record<string, object> } {
  return read('server-server-requests.json') as Requests & { $defs: Record<string, object> }
}

/** Loads the input samples of an API's operations, and the definitions that the schemas refer to as `#/$defs/…`. */
export function loadSamples(api: Api): { operations: Samples; $defs: Record<string, object> } {
  return read(`${api}-samples.json`) as { operations: Samples; $defs: Record<string, object> }
}

/** Loads the examples of events, by type. */
export function loadEventSamples(): Record<string, EventSample[]> {
  const { events } = read('event-samples.json') as { events: Record<string, EventSample[]> }
  return events
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8'))
}
