import type fc from 'fast-check'
import {
  APIS,
  type Api,
  loadOperations,
  loadSamples,
  type Operation,
  type Samples,
} from '../../testing/openapi/operations.ts'
import { OLD_SERVER_OPERATIONS, UNSTABLE_OPERATIONS } from '../../testing/openapi/unstable-operations.ts'
import type { Draw } from './draw.ts'
import { type Definitions, generalise, valuesOf } from './schema-values.ts'

/** An operation with arbitraries for its input. */
export type FuzzedOperation = Operation & {
  name: string
  /** How often it is tested, relative to others. */
  weight: number
  queryValues: Record<string, fc.Arbitrary<unknown>>
  requiredQuery: readonly string[]
  bodyValues: fc.Arbitrary<unknown>[]
}

/** Endpoints of Hearth that no document describes, since they are not JSON. */
const OTHERS: Operation[] = [
  other('GET', '/_matrix/client/v3/auth/{authType}/fallback/web', ['session']),
  other('POST', '/_matrix/client/v3/auth/{authType}/fallback/web', ['session']),
  other('GET', '/_matrix/static/client/login/', ['device_id', 'initial_device_display_name']),
  other('GET', '/_matrix/client/unstable/hearth/confirm_email/{sid}/{token}', ['next_link']),
  other('POST', '/_matrix/client/unstable/hearth/confirm_email/{sid}/{token}', []),
  other('GET', '/_matrix/client/unstable/hearth/unsubscribe/{pushkey}/{signature}', []),
  other('POST', '/_matrix/client/unstable/hearth/unsubscribe/{pushkey}/{signature}', []),
  other('POST', '/_matrix/client/unstable/org.matrix.msc4108/rendezvous', []),
  other('PUT', '/_matrix/client/unstable/org.matrix.msc4108/rendezvous/{sessionId}', []),
  other('GET', '/metrics', []),
  other('GET', '/health', []),
]

function other(method: string, path: string, query: string[]): Operation {
  return { method, path, auth: 'none', query }
}

/**
 * Operations that let others go deeper, or are most frequent, and those that remove objects which others need; all
 * others weigh 10.
 */
const WEIGHTS: Record<string, number> = {
  'GET /_matrix/client/v3/sync': 60,
  'POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync': 50,
  'POST /_matrix/client/v4/sync': 30,
  'PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}': 160,
  'PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}': 80,
  'PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}': 20,
  'GET /_matrix/client/v3/rooms/{roomId}/messages': 30,
  'POST /_matrix/client/v3/join/{roomIdOrAlias}': 30,
  'POST /_matrix/client/v3/rooms/{roomId}/join': 20,
  'POST /_matrix/client/v3/createRoom': 8,
  'POST /_matrix/client/v3/rooms/{roomId}/upgrade': 3,
  'POST /_matrix/client/v3/rooms/{roomId}/leave': 4,
  'POST /_matrix/client/v3/rooms/{roomId}/forget': 4,
  'POST /_matrix/client/v3/rooms/{roomId}/kick': 5,
  'POST /_matrix/client/v3/rooms/{roomId}/ban': 3,
  'POST /_matrix/client/v3/room_keys/version': 30,
  'DELETE /_matrix/client/v3/room_keys/version/{version}': 3,
  'DELETE /_matrix/client/unstable/io.element.msc4388/rendezvous/{sessionId}': 3,
  'DELETE /_matrix/client/unstable/org.matrix.msc4108/rendezvous/{sessionId}': 3,
  'DELETE /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device': 3,
  'DELETE /_matrix/client/v3/directory/room/{roomAlias}': 5,
  'PUT /_matrix/client/v3/directory/room/{roomAlias}': 20,
  'PUT /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device': 25,
  'POST /_matrix/client/v3/register': 5,
  'POST /_matrix/client/v3/logout': 2,
  'POST /_matrix/client/v3/logout/all': 1,
  'POST /_matrix/client/v3/account/deactivate': 2,
  'GET /_matrix/client/v3/initialSync': 3,
}

/** Returns all operations of an API that the fuzzer tests. */
export function fuzzedOperations(api: Api): FuzzedOperation[] {
  const more = api === 'client-server' ? [...UNSTABLE_OPERATIONS, ...OTHERS] : OLD_SERVER_OPERATIONS
  const requests: Samples = Object.assign({}, ...APIS.map((each) => loadSamples(each).operations))
  const definitions: Definitions = Object.assign({}, ...APIS.map((each) => loadSamples(each).$defs))
  return [...loadOperations(api), ...more].map((operation) => {
    const name = `${operation.method} ${operation.path}`
    const { query = {}, required = [], body, examples = [] } = requests[name] ?? {}
    const schema = body ?? (operation.body && schemaOf(operation.body))
    return {
      ...operation,
      name,
      weight: WEIGHTS[name] ?? 10,
      queryValues: Object.fromEntries(
        operation.query.map((each) => [each, valuesOf(query[each] ?? { type: 'string' }, definitions, each)]),
      ),
      requiredQuery: required,
      bodyValues: [
        ...(schema ? [valuesOf(schema, definitions)] : []),
        ...examples.map((example) => valuesOf({ const: generalise(example) }, definitions)),
      ],
    }
  })
}

/** Picks operations by their weights. */
export function pickOperation(operations: readonly FuzzedOperation[]): (draw: Draw) => FuzzedOperation {
  const weights = Object.fromEntries(operations.map(({ name, weight }) => [name, weight]))
  const byName = new Map(operations.map((operation) => [operation.name, operation]))
  return (draw) => byName.get(draw.weighted(weights))!
}

/** Returns a schema for operations outside the documents: names and types of their keys. */
function schemaOf(body: NonNullable<Operation['body']>): object {
  const members = Object.entries(body)
  return {
    type: 'object',
    properties: Object.fromEntries(members.map(([name, { types }]) => [name, { type: types }])),
    required: members.filter(([, { required }]) => required).map(([name]) => name),
  }
}
