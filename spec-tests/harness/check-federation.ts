import { type CheckSchema, openSchemas } from '../../testing/openapi/compile-schemas.ts'
import { findOperation } from '../../testing/openapi/find-operation.ts'
import { loadServerRequests } from '../../testing/openapi/operations.ts'
import { checkAnswer } from './check-answer.ts'

/** A request of Hearth to another server, or the reverse. */
export type FederationRequest = { method: string; path: string; body?: unknown }

/** Checks Hearth's traffic with one server against the specification. */
export type FederationChecks = {
  /** Records the faults of a request of Hearth. */
  noteRequest(request: FederationRequest): void
  /** Throws if Hearth's response to a request does not match its schema. */
  checkAnswer(request: FederationRequest, answer: { status: number; body: unknown }): void
  /** Records the faults of Hearth's response to a request. */
  noteAnswer(request: FederationRequest, answer: { status: number; body: unknown }): void
  /** Throws if any fault was recorded. */
  end(): void
}

type Schemas = ReturnType<typeof loadServerRequests> & { check: CheckSchema }
let schemas: Schemas | undefined

/** `versionOf`: returns the version of the server's own rooms. Versions of other rooms are learnt from the traffic. */
export function createFederationChecks(
  versionOf: (roomId: string) => string | undefined = () => undefined,
): FederationChecks {
  const learnt = new Map<string, string>()
  const faults: string[] = []

  function checkPdus(value: unknown): void {
    for (const pdu of pdusIn(value)) {
      const roomId = typeof pdu.room_id === 'string' ? pdu.room_id : undefined
      const version = roomId === undefined ? NEWEST : (versionOf(roomId) ?? learnt.get(roomId))
      // The create event of newer rooms has no room_id, which the schema requires.
      const named = pdu.type === 'm.room.create' && roomId === undefined ? { ...pdu, room_id: '!hash' } : pdu
      if (version !== undefined) schemas!.check(`PDU ${formatOf(version)}`, schemas!.pdus[formatOf(version)], named)
    }
  }

  function checkRequest({ method, path, body }: FederationRequest): void {
    if (path.includes('/unstable/')) return
    const operation = findOperation(method, path)
    if (!operation) throw new Error('is no operation of the specification')
    const name = `${operation.method} ${operation.path}`
    const { query } = operation
    const unknown = [...new URL(path, 'http://x').searchParams.keys()].filter((parameter) => !query.includes(parameter))
    if (unknown.length > 0) throw new Error(`has parameters that are not specified: ${unknown}`)
    const schema = schemas!.operations[name]
    if ((schema === undefined) !== (body === undefined)) throw new Error(schema ? 'has no body' : 'has a body')
    schemas!.check(name, schema, body)
    const { room_version: version, event, edus } = (body ?? {}) as Record<string, unknown>
    if (typeof version === 'string') learn((event as { room_id?: unknown }).room_id, version)
    checkPdus(name.includes('/send_') ? { event: body } : body)
    for (const edu of (edus as { edu_type: string }[] | undefined) ?? []) checkEdu(edu)
  }

  function learn(roomId: unknown, version: string): void {
    if (typeof roomId === 'string') learnt.set(roomId, version)
  }

  function check(request: FederationRequest, answer: { status: number; body: unknown }): void {
    schemas ??= loadSchemas()
    checkAnswer(request, answer)
    if (answer.status !== 200) return
    const { room_version: version, event } = (answer.body ?? {}) as Record<string, unknown>
    // A template is not an event yet.
    if (typeof version === 'string') learn((event as { room_id?: unknown }).room_id, version)
    else checkPdus(answer.body)
  }

  function note(look: () => void, said: string): void {
    try {
      look()
    } catch (error) {
      faults.push(`${said} ${(error as Error).message}`)
    }
  }

  return {
    noteRequest(request) {
      schemas ??= loadSchemas()
      note(() => checkRequest(request), `${request.method} ${request.path}`)
    },
    checkAnswer: check,
    noteAnswer: (request, answer) => note(() => check(request, answer), 'Answer:'),
    end() {
      if (faults.length === 0) return
      throw new Error(
        `Hearth sends what the specification does not allow, ${faults.length} times:\n${faults.slice(0, 20).join('\n')}`,
      )
    },
  }
}

/** For servers whose faults Hearth has to repeat. */
export const NO_CHECKS: FederationChecks = { noteRequest() {}, checkAnswer() {}, noteAnswer() {}, end() {} }

const NEWEST = '12'

function checkEdu(edu: { edu_type: string }): void {
  const schema = schemas!.edus[edu.edu_type]
  if (!schema) throw new Error(`has an EDU of no specified type: ${edu.edu_type}`)
  schemas!.check(edu.edu_type, schema, edu)
}

type AnyPdu = { room_id?: unknown; type?: unknown }

/** The places of events in bodies and responses. */
function pdusIn(value: unknown): AnyPdu[] {
  const { event, pdus, events, state, auth_chain } = (Array.isArray(value) ? value[1] : (value ?? {})) as Record<
    string,
    unknown
  >
  return [event, pdus, events, state, auth_chain]
    .flat()
    .filter((each): each is AnyPdu => typeof each === 'object' && each !== null && 'signatures' in each)
}

/** Returns the newest event format up to a room version. */
function formatOf(version: string): string {
  const formats = Object.keys(schemas!.pdus).map(Number)
  return `${Math.max(...formats.filter((format) => format <= Number(version)))}`
}

function loadSchemas(): Schemas {
  const requests = loadServerRequests()
  return { ...requests, check: openSchemas(requests.$defs) }
}
