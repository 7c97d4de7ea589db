import { Agent, fetch } from 'undici'
import type { Config } from '../../config.ts'
import { createTrust } from '../../infra/http/trusted-connections.ts'

const TIMEOUT_MS = 5000

export type Answer =
  | { ok: true; status: number; headers: { get(name: string): string | null }; body: Record<string, unknown> }
  | { ok: false; why: string }

/** Fetches JSON, trusting the configured certificates. Not ok: no connection, no success, or no JSON object; `why` says which. */
export async function fetchJson(
  config: Config,
  url: string,
  how: { anyCertificate?: boolean; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const trust = createTrust(config.federation.trusted_certificates)
  const connect = { secureContext: trust(), rejectUnauthorized: !how.anyCertificate }
  const dispatcher = new Agent({ connect } as Agent.Options)
  try {
    const response = await fetch(url, {
      dispatcher,
      headers: how.headers ?? {},
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!response.ok) return { ok: false, why: `it answers ${response.status}` }
    const body: unknown = await response.json()
    if (typeof body !== 'object' || body === null) return { ok: false, why: 'its answer is not a JSON object' }
    return { ok: true, status: response.status, headers: response.headers, body: body as Record<string, unknown> }
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
