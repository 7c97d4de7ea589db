import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collectSchemas, type SchemaCollection } from './collect-schemas.ts'
import { describeBody, describeCargo } from './describe-requests.ts'
import { describeEventSamples, describeSample } from './describe-samples.ts'
import {
  APIS,
  type Api,
  type BodyProperty,
  type Operation,
  type Requests,
  type Responses,
  type Samples,
} from './operations.ts'
import { type Documents, type Node, openDocuments, type Place } from './resolve-references.ts'

/**
 * Writes for each API, such as the client-server one, client-server.json (the operations), client-server-responses.json
 * (the schemas of responses) and client-server-samples.json (schemas and examples of input), and
 * server-server-requests.json (the schemas of requests between servers) from the OpenAPI files of the specification,
 * and event-samples.json (examples of all types of events) from its event schemas:
 * `node testing/openapi/generate.ts ../shared/matrix-spec`
 */
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head'] as const

const folder = process.argv[2]
if (folder === undefined) throw new Error('Usage: node testing/openapi/generate.ts FOLDER-WITH-api-AND-event-schemas')
for (const api of APIS) generate(folder, api)
writeSections(here('event-samples.json'), { events: describeEventSamples(folder) })

function generate(root: string, api: Api): void {
  const documents = openDocuments(root)
  const schemas = collectSchemas(documents)
  const found = new Map<string, Operation>()
  const responses: Responses = {}
  const samples: Samples = {}
  const sampleSchemas = collectSchemas(documents, { keepExamples: true })
  const bodies: Requests['operations'] = {}
  const requestSchemas = collectSchemas(documents)
  const files = readdirSync(join(root, 'api', api)).filter((name) => name.endsWith('.yaml'))
  for (const file of files.sort().map((name) => `api/${api}/${name}`)) {
    const document = documents.read(file)
    const base: string = document.servers[0].variables.basePath.default
    for (const [path, item] of Object.entries<Node>(document.paths)) {
      for (const method of METHODS.filter((name) => item[name])) {
        const at: Place = { file, node: item[method] }
        // A trailing space distinguishes the descriptions of one operation's two uses.
        const operation = describeOperation(documents, at, {
          api,
          method: method.toUpperCase(),
          path: base + path.trim(),
        })
        const key = `${operation.method} ${operation.path}`
        found.set(key, bothUses(found.get(key), operation))
        responses[key] ??= describeResponses(documents, schemas, at)
        samples[key] ??= describeSample(documents, sampleSchemas, at)
        const body = describeBody(documents, requestSchemas, at)
        if (body) bodies[key] ??= body
      }
    }
  }
  const operations = [...found.values()].sort((a, b) => compare(a.path, b.path) || compare(a.method, b.method))
  const lines = (rows: string[]) => rows.map((row) => `  ${row}`).join(',\n')
  writeFileSync(here(`${api}.json`), `[\n${lines(operations.map((row) => JSON.stringify(row)))}\n]\n`)
  writeSections(here(`${api}-responses.json`), { operations: responses, $defs: schemas.definitions })
  writeSections(here(`${api}-samples.json`), { operations: samples, $defs: sampleSchemas.definitions })
  if (api !== 'server-server') return
  const cargo = describeCargo(root, documents, requestSchemas)
  writeSections(here(`${api}-requests.json`), { operations: bodies, ...cargo, $defs: requestSchemas.definitions })
}

function here(name: string): string {
  return join(import.meta.dirname, name)
}

function writeSections(file: string, sections: Record<string, Record<string, unknown>>): void {
  const texts = Object.entries(sections).map(([name, of]) => {
    const entries = Object.entries(of).sort(([a], [b]) => compare(a, b))
    return `"${name}": {\n${entries.map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(',\n')}\n}`
  })
  writeFileSync(file, `{\n${texts.join(',\n')}\n}\n`)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function describeOperation(
  documents: Documents,
  at: Place,
  { api, method, path }: { api: Api; method: string; path: string },
): Operation {
  const { node } = at
  const parameters = (node.parameters ?? []).map((each: Node) => documents.follow({ file: at.file, node: each }).node)
  const body = bodyOf(documents, at)
  return {
    method,
    path,
    ...(node['x-addedInMatrixVersion'] && { since: node['x-addedInMatrixVersion'] }),
    auth: authOf(api, node.security ?? []),
    ...(node.deprecated && { deprecated: true }),
    query: parameters.filter((each: Node) => each.in === 'query').map((each: Node) => each.name),
    ...(body && { body }),
  }
}

function authOf(api: Api, security: Node[]): Operation['auth'] {
  if (security.length === 0) return 'none'
  if (security.some((way) => Object.keys(way).length === 0)) return 'optional'
  // The client-server API uses it for one operation too, but means users.
  return api === 'server-server' && security.every((way) => way.signedRequest) ? 'server' : 'user'
}

function bothUses(one: Operation | undefined, other: Operation): Operation {
  if (!one) return other
  const optional = Object.entries({ ...one.body, ...other.body }).map(([name, { types }]) => [name, { types }])
  const body = (one.body || other.body) && { body: Object.fromEntries(optional) }
  return { ...one, query: [...new Set([...one.query, ...other.query])], ...body }
}

function bodyOf(documents: Documents, at: Place): Operation['body'] {
  if (!at.node.requestBody) return undefined
  const request = documents.follow({ file: at.file, node: at.node.requestBody })
  const schema = request.node.content['application/json']?.schema
  return schema && mergedProperties(documents, { file: request.file, node: schema })
}

/** Returns the properties of an object, including those of its composition. */
function mergedProperties(documents: Documents, place: Place): Record<string, BodyProperty> {
  const { file, node } = documents.follow(place)
  const found: Record<string, BodyProperty> = {}
  for (const part of node.allOf ?? []) Object.assign(found, mergedProperties(documents, { file, node: part }))
  for (const [name, schema] of Object.entries<Node>(node.properties ?? {})) {
    const types = typesOf(documents, { file, node: schema })
    found[name] = { types, ...(node.required?.includes(name) && { required: true }) }
  }
  return found
}

function typesOf(documents: Documents, place: Place): string[] {
  const { file, node } = documents.follow(place)
  if (node.type) return [node.type].flat()
  const parts: Node[] = node.allOf?.slice(0, 1) ?? node.oneOf ?? node.anyOf ?? []
  return [...new Set(parts.flatMap((part) => typesOf(documents, { file, node: part })))]
}

function describeResponses(documents: Documents, schemas: SchemaCollection, at: Place): Responses[string] {
  const found: Responses[string] = {}
  for (const [status, answer] of Object.entries<Node>(at.node.responses)) {
    const response = documents.follow({ file: at.file, node: answer })
    const schema = response.node.content?.['application/json']?.schema
    if (schema) found[status] = schemas.take({ file: response.file, node: schema })
  }
  return found
}
