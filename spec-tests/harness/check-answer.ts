import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { findOperation } from '../openapi/find-operation.ts'
import { APIS, loadResponses } from '../openapi/operations.ts'

/** Any error: https://spec.matrix.org/v1.19/client-server-api/#standard-error-response */
const ERROR = {
  type: 'object',
  properties: {
    errcode: { type: 'string', pattern: '^((M|IO_ELEMENT)_[A-Z0-9_]+|[A-Za-z0-9_]+\\.[\\w.]+)$' },
    error: { type: 'string' },
  },
  required: ['errcode', 'error'],
}

/** Answers whose schema asks for what Hearth does not do on purpose, each with the reason. */
const UNLIKE_SCHEMA: Record<string, string> = {
  'GET /_matrix/client/v3/voip/turnServer 200': 'without TURN servers it is {}, which every client takes for "none"',
  'GET /_matrix/client/v3/rooms/{roomId}/joined_members 200':
    'what a member has not set is null, which Complement and clients expect; the schema knows only text',
}

/** Parameters of proposals that make another operation of one: a delayed event has no event id yet. */
const OTHER_OPERATIONS = /[?&]org\.matrix\.msc4140\.delay=/

const SPECIFIED = /^\/_matrix\/(client|media|federation|key)\//

type Schemas = { ajv: Ajv2020; operations: ReturnType<typeof loadResponses>['operations'] }
let schemas: Schemas | undefined
const compiled = new Map<string, ValidateFunction | undefined>()

/** Throws when an answer is not what the specification's schema for the operation and status says, or an error has not the standard shape. */
export function checkAnswer(
  request: { method: string; path: string },
  answer: { status: number; body: unknown },
): void {
  if (!SPECIFIED.test(request.path)) return
  const operation = OTHER_OPERATIONS.test(request.path) ? undefined : findOperation(request.method, request.path)
  const name = operation ? `${operation.method} ${operation.path}` : undefined
  const isError = answer.status >= 400 && !asksForAuthentication(answer.body)
  const validators = [
    name && !(isError && answer.status === 401) && validatorOf(name, answer.status),
    isError && errorValidator(),
  ]
  for (const validate of validators) {
    if (!validate || validate(answer.body)) continue
    const faults = schemas!.ajv.errorsText(validate.errors, { dataVar: 'body' })
    const text = JSON.stringify(answer.body)?.slice(0, 500)
    throw new Error(`${request.method} ${request.path} answers ${answer.status} against the schema: ${faults}\n${text}`)
  }
}

/** Such a 401 need not be an error: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api */
function asksForAuthentication(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'flows' in body
}

function validatorOf(name: string, status: number): ValidateFunction | undefined {
  const key = `${name} ${status}`
  return UNLIKE_SCHEMA[key] ? undefined : compileOnce(key, ({ operations }) => operations[name]?.[status])
}

function errorValidator(): ValidateFunction | undefined {
  return compileOnce('error', () => ERROR)
}

function compileOnce(key: string, schemaOf: (from: Schemas) => object | undefined): ValidateFunction | undefined {
  if (compiled.has(key)) return compiled.get(key)
  schemas ??= openSchemas()
  const schema = schemaOf(schemas)
  const validate = schema && schemas.ajv.compile(rebased(schema))
  compiled.set(key, validate)
  return validate
}

const DEFINITIONS = 'definitions.json'

function openSchemas(): Schemas {
  const [client, server] = APIS.map(loadResponses)
  const operations = { ...client!.operations, ...server!.operations }
  const $defs = { ...client!.$defs, ...server!.$defs }
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
  ajv.addSchema({ $id: DEFINITIONS, $defs })
  return { ajv, operations }
}

function rebased(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', `"${DEFINITIONS}#/$defs/`))
}
