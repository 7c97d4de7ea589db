import { Agent, fetch } from 'undici'
import type { Config } from '../../config.ts'
import { createTrust } from '../../infra/http/trusted-connections.ts'

const TIMEOUT_MS = 5000

type Headers = { get(name: string): string | null }
type Failure = { ok: false; why: string }

export type Answer = { ok: true; status: number; headers: Headers; body: Record<string, unknown> } | Failure

/** `anyStatus`: whether answers of errors count too. `body`: sent by POST, as JSON. */
type How = {
  anyCertificate?: boolean
  anyStatus?: boolean
  headers?: Record<string, string>
  body?: string
}

/** Fetches JSON, trusting the configured certificates. Not ok: no connection, no success, or no JSON object; `why` says which. */
export async function fetchJson(config: Config, url: string, how: How = {}): Promise<Answer> {
  const answer = await fetchAnswer(config, url, how)
  if (!answer.ok) return answer
  const { text, ...rest } = answer
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== 'object' || body === null) return { ok: false, why: 'its answer is not a JSON object' }
    return { ...rest, body: body as Record<string, unknown> }
  } catch (error) {
    return { ok: false, why: (error as Error).message }
  }
}

/** Fetches a text, trusting the configured certificates. */
export async function fetchAnswer(
  config: Config,
  url: string,
  how: How = {},
): Promise<{ ok: true; status: number; headers: Headers; text: string } | Failure> {
  const dispatcher = trustingAgent(config, how)
  try {
    const response = await fetch(url, {
      dispatcher,
      ...(how.body !== undefined && { method: 'POST', body: how.body }),
      headers: { ...(how.body !== undefined && { 'content-type': 'application/json' }), ...how.headers },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!response.ok && !how.anyStatus) return { ok: false, why: `it answers ${response.status}` }
    return { ok: true, status: response.status, headers: response.headers, text: await response.text() }
  } catch (error) {
    return { ok: false, why: reason(error as Error) }
  } finally {
    await dispatcher.destroy()
  }
}

/** fetch hides the network's error in the causes of its own. */
function reason(error: Error): string {
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause
  return inner instanceof Error ? reason(inner) : error.message
}

/** Returns connections that trust the configured certificates. */
export function trustingAgent(config: Config, { anyCertificate = false }: Pick<How, 'anyCertificate'> = {}): Agent {
  const trust = createTrust(config.federation.trusted_certificates)
  const connect = { secureContext: trust(), rejectUnauthorized: !anyCertificate }
  return new Agent({ connect } as Agent.Options)
}
