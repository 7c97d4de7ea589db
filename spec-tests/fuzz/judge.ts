import type { Findings } from './findings.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import { lastErrors } from './last-errors.ts'
import type { FuzzRequest } from './request-draft.ts'
import type { FuzzAnswer } from './send-request.ts'
import { shrinkBody } from './shrink.ts'

/** Statuses from 500 on that are no fault of the homeserver: a required other server failed or was too slow. */
const OTHERS_FAULT = [502, 504]
/** Without a body: 431, by Node's parser, for large headers; 416 for a range outside a file. */
const WITHOUT_BODY = [416, 431]
/** Web pages show errors as pages. */
const PAGES = /fallback\/web|login\/sso|static\/client|hearth\/(confirm_email|unsubscribe)/

type Fault = { kind: string; detail: string }

/** Returns the fault of a response to any request; undefined: none. */
function faultOf({ operation }: FuzzRequest, answer: FuzzAnswer): Fault | undefined {
  if (answer.kind === 'left') return undefined
  if (answer.kind === 'none') return { kind: `${operation} is not answered`, detail: answer.reason }
  const { status, text } = answer
  if (status >= 500) {
    return OTHERS_FAULT.includes(status) ? undefined : { kind: `${operation} answers ${status}`, detail: text }
  }
  if (status < 400 || WITHOUT_BODY.includes(status) || PAGES.test(operation)) return undefined
  return isError(text) || asksForAuthentication(status, text)
    ? undefined
    : { kind: `${operation} answers ${status} without errcode and error`, detail: text }
}

/** https://spec.matrix.org/v1.19/client-server-api/#standard-error-response */
function isError(text: string): boolean {
  const body = parse(text)
  return typeof body?.errcode === 'string' && typeof body.error === 'string'
}

function asksForAuthentication(status: number, text: string): boolean {
  return status === 401 && Array.isArray(parse(text)?.flows)
}

export function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export type Judged = {
  world: FuzzWorld
  findings: Findings
  request: FuzzRequest
  answer: FuzzAnswer
  /** Where in the run. */
  at: string
  /** Sends the request with another body. */
  resend(body: string): Promise<FuzzAnswer>
}

/** Records the fault of a response. For the first fault of a kind, adds the homeserver's log and a smaller request. */
export async function judge({ world, findings, request, answer, at, resend }: Judged): Promise<void> {
  const fault = faultOf(request, answer)
  if (!fault) return
  const detail = `${fault.detail}\n  log: ${lastErrors(world)}`
  if (!findings.add({ ...fault, detail, request, at })) return
  const smaller = await shrinkBody(request, async (body) => faultOf(request, await resend(body))?.kind === fault.kind)
  if (smaller !== undefined) findings.explain(fault.kind, `the same with the body ${smaller}`)
}
