import { z } from 'zod'
import type { App } from '../../app.ts'
import type { ServerName } from '../../core/ids.ts'
import { withoutTrailingSlashes } from '../../core/text/trailing-slashes.ts'

const TIMEOUT_MS = 10_000
const MAX_URL_LENGTH = 2048

const wellKnown = z.object({
  'm.homeserver': z.object({ base_url: z.url({ protocol: /^https$/ }).max(MAX_URL_LENGTH) }),
})

type RemoteApp = Pick<App, 'http' | 'stopping'>

/**
 * Returns the base URL of a server's client-server API, from its well-known file, or else at its name.
 * https://spec.matrix.org/v1.19/client-server-api/#server-discovery
 */
export async function discoverClientApi({ http, stopping }: RemoteApp, server: ServerName): Promise<string> {
  const url = `https://${server}/.well-known/matrix/client`
  const answer = await http.getJson(url, { timeoutMs: TIMEOUT_MS, signal: stopping }).catch(() => undefined)
  const { data } = wellKnown.safeParse(answer?.status === 200 ? answer.body : undefined)
  const base = new URL(data?.['m.homeserver'].base_url ?? `https://${server}`)
  return withoutTrailingSlashes(`${base.origin}${base.pathname}`)
}

/** `done`: the event is restarted or sent. `ended`: it is no longer scheduled, or the server refuses. */
export type ManagedOutcome = 'done' | 'ended' | 'failed'

/**
 * Restarts or sends a delayed event of a remote user at their server, without a token: its ID is the permission.
 * `failed`: the server does not answer, or asks for a retry.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function manageRemoteDelayedEvent(
  { http, stopping }: RemoteApp,
  { base_url, delay_id }: { base_url: string; delay_id: string },
  action: 'restart' | 'send',
): Promise<ManagedOutcome> {
  const path = `/_matrix/client/unstable/org.matrix.msc4140/delayed_events/${encodeURIComponent(delay_id)}/${action}`
  try {
    const { status } = await http.postJson(`${base_url}${path}`, {}, { timeoutMs: TIMEOUT_MS, signal: stopping })
    if (status >= 200 && status < 300) return 'done'
    return status === 429 || status >= 500 ? 'failed' : 'ended'
  } catch {
    return 'failed'
  }
}
