import { type CheckSchema, openSchemas } from '../../testing/openapi/compile-schemas.ts'
import { findOperation } from '../../testing/openapi/find-operation.ts'
import { APIS, loadResponses } from '../../testing/openapi/operations.ts'

/** Any error: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response */
const ERROR = {
  type: 'object',
  properties: {
    errcode: { type: 'string', pattern: '^((M|IO_ELEMENT|ORG_MATRIX)_[A-Z0-9_]+|[A-Za-z0-9_]+\\.[\\w.]+)$' },
    error: { type: 'string' },
  },
  required: ['errcode', 'error'],
}

/** Responses whose schema requires what Hearth deliberately does not do, each with the reason. */
const UNLIKE_SCHEMA: Record<string, string> = {
  'GET /_matrix/client/v3/events 200':
    'old clients look there for typing, receipts, presence and account data, too, which have less than events of rooms',
  'GET /_matrix/client/v3/voip/turnServer 200': 'without TURN servers it is {}, which every client takes for "none"',
  'GET /_matrix/client/v3/rooms/{roomId}/joined_members 200':
    'what a member has not set is null, which Complement and clients expect; the schema knows only text',
  'GET /_matrix/client/v1/auth_metadata 200':
    'the actions of account management also have the names of MSC4191, with which clients still look for them',
  'PUT /_matrix/federation/v2/invite/{roomId}/{eventId} 200':
    'the event is the one of the inviting server, and that of Synapse has no origin',
}

/** Parameters of proposals that change an operation's response: a delayed event has no event ID yet. */
const OTHER_OPERATIONS = /[?&]org\.matrix\.msc4140\.delay=/

const SPECIFIED = /^\/_matrix\/(client|media|federation|key)\//

type Schemas = { check: CheckSchema; operations: ReturnType<typeof loadResponses>['operations'] }
let schemas: Schemas | undefined

/**
 * Throws if a response does not match the specification's schema for the operation and status, or an error does not
 * have the standard shape.
 */
export function checkAnswer(
  request: { method: string; path: string },
  answer: { status: number; body: unknown },
): void {
  if (!SPECIFIED.test(request.path)) return
  const operation = OTHER_OPERATIONS.test(request.path) ? undefined : findOperation(request.method, request.path)
  const name = operation ? `${operation.method} ${operation.path}` : undefined
  const isError = answer.status >= 400 && !asksForAuthentication(answer.body)
  schemas ??= loadSchemas()
  try {
    if (name && !(isError && answer.status === 401)) {
      const key = `${name} ${answer.status}`
      if (!UNLIKE_SCHEMA[key]) schemas.check(key, schemas.operations[name]?.[answer.status], answer.body)
    }
    if (isError) schemas.check('error', ERROR, answer.body)
  } catch (error) {
    throw new Error(`${request.method} ${request.path} answers ${answer.status} ${(error as Error).message}`)
  }
}

/**
 * Such a 401 need not be an error: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
 */
function asksForAuthentication(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'flows' in body
}

function loadSchemas(): Schemas {
  const [client, server] = APIS.map(loadResponses)
  const operations = { ...client!.operations, ...server!.operations }
  return { check: openSchemas({ ...client!.$defs, ...server!.$defs }), operations }
}
