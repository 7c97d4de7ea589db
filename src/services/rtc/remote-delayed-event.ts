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
 * Returns the base URL of a server's client-server API, from the well-known file at its name, or at its host, where
 * clients look; without such a file at its name.
 * https://spec.matrix.org/v1.19/client-server-api/#server-discovery
 */
export async function discoverClientApi(app: RemoteApp, server: ServerName): Promise<string> {
  for (const host of new Set([server, server.replace(/:\d+$/, '')])) {
    const found = await baseUrlAt(app, host)
    if (found !== undefined) return found
  }
  return `https://${server}`
}

async function baseUrlAt({ http, stopping }: RemoteApp, host: string): Promise<string | undefined> {
  const url = `https://${host}/.well-known/matrix/client`
  const answer = await http.getJson(url, { timeoutMs: TIMEOUT_MS, signal: stopping }).catch(() => undefined)
  const { success, data } = wellKnown.safeParse(answer?.status === 200 ? answer.body : undefined)
  if (!success) return undefined
  const { origin, pathname } = new URL(data['m.homeserver'].base_url)
  return withoutTrailingSlashes(`${origin}${pathname}`)
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
