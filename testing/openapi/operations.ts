import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type BodyProperty = { types: string[]; required?: true }

/** An operation of an API, as the specification's OpenAPI has it. */
export type Operation = {
  method: string
  /** With `{parameters}`. */
  path: string
  /** The version of the specification that has it first, where that is said. */
  since?: string
  auth: 'none' | 'optional' | 'user' | 'server'
  deprecated?: true
  /** Names of the parameters of its query. */
  query: string[]
  /** Properties of its JSON body; absent: it has no JSON body. */
  body?: Record<string, BodyProperty>
}

/** JSON schemas by `METHOD /path` and status. */
export type Responses = Record<string, Record<string, object>>

/** What goes from server to server, as JSON schemas. */
export type Requests = {
  /** Bodies by `METHOD /path`. */
  operations: Record<string, object>
  /** Events by the first room version that has them so. */
  pdus: Record<string, object>
  /** By `edu_type`. */
  edus: Record<string, object>
}

/**
 * What an operation takes: JSON schemas with examples, the parameters of its query that are required, and examples of
 * whole bodies.
 */
export type Sample = { query: Record<string, object>; required: string[]; body?: object; examples?: unknown[] }

/** By `METHOD /path`. */
export type Samples = Record<string, Sample>

/** An event as the specification shows one of its type. */
export type EventSample = { content: Record<string, unknown>; state_key?: string }

/** The APIs of the specification that Hearth serves. */
export const APIS = ['client-server', 'server-server'] as const
export type Api = (typeof APIS)[number]

/** All operations of an API; generate.ts writes them. */
export function loadOperations(api: Api = 'client-server'): Operation[] {
  return read(`${api}.json`) as Operation[]
}

/** The schemas of their JSON answers, and the definitions that these refer to as `#/$defs/…`. */
export function loadResponses(api: Api = 'client-server'): { operations: Responses; $defs: Record<string, object> } {
  return read(`${api}-responses.json`) as { operations: Responses; $defs: Record<string, object> }
}

/** The schemas of what servers send one another, and the definitions that these refer to as `#/$defs/…`. */
export function loadServerRequests(): Requests & { $defs: Record<string, object> } {
  return read('server-server-requests.json') as Requests & { $defs: Record<string, object> }
}

/** What the operations of an API take, and the definitions that the schemas refer to as `#/$defs/…`. */
export function loadSamples(api: Api): { operations: Samples; $defs: Record<string, object> } {
  return read(`${api}-samples.json`) as { operations: Samples; $defs: Record<string, object> }
}

/** The examples of events, by type. */
export function loadEventSamples(): Record<string, EventSample[]> {
  const { events } = read('event-samples.json') as { events: Record<string, EventSample[]> }
  return events
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8'))
}
