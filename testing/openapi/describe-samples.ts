import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { SchemaCollection } from './collect-schemas.ts'
import type { EventSample, Samples } from './operations.ts'
import { type Documents, type Node, openDocuments, type Place } from './resolve-references.ts'

/** Returns the samples of an operation's input. `schemas`: a collection that keeps examples. */
export function describeSample(documents: Documents, schemas: SchemaCollection, at: Place): Samples[string] {
  const parameters = (at.node.parameters ?? []).map((each: Node) => documents.follow({ file: at.file, node: each }))
  const queried = parameters.filter(({ node }: Place) => node.in === 'query')
  const query = queried.map(({ file, node: { name, schema = {}, example } }: Place) => [
    name,
    { ...schemas.take({ file, node: schema }), ...(example !== undefined && { example }) },
  ])
  const request = at.node.requestBody && documents.follow({ file: at.file, node: at.node.requestBody })
  const json = request?.node.content['application/json']
  const examples = Object.values<Node>(json?.examples ?? {}).map(({ value }) => value)
  return {
    query: Object.fromEntries(query),
    required: queried.filter(({ node }: Place) => node.required).map(({ node }: Place) => node.name),
    ...(json && { body: schemas.take({ file: request.file, node: json.schema }) }),
    ...(examples.length > 0 && { examples }),
  }
}

/** Returns the examples of events, by type; state events with their state keys. */
export function describeEventSamples(root: string): Record<string, EventSample[]> {
  const documents = openDocuments(root)
  const folder = 'event-schemas/examples'
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.yaml'))
  const found: Record<string, EventSample[]> = {}
  for (const name of names.sort()) {
    const { type, content, state_key } = documents.read(`${folder}/${name}`)
    if (type === undefined || content === undefined) continue
    found[type] ??= []
    found[type].push({ content, ...(state_key !== undefined && { state_key }) })
  }
  return found
}
