import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'undici'
import type { Config } from '../../config.ts'
import { systemClock } from '../../infra/clock.ts'
import { createOutgoingHttp } from '../../infra/http/outgoing-http.ts'
import { systemRandom } from '../../infra/random.ts'
import { type Livekit, requireLivekit } from '../../services/rtc/livekit.ts'
import { requestLivekit, signLivekitToken } from '../../services/rtc/livekit-api.ts'
import { PROBE_EVENT, PROBE_ROOM } from '../../services/rtc/receive-webhook.ts'
import { withConnections } from './federation.ts'
import { fetchAnswer, fetchJson, trustingAgent } from './fetch-json.ts'
import { type Finding, good, problem, warning } from './finding.ts'

const TIMEOUT_MS = 5000
const TOKEN_SECONDS = 60
/** LiveKit accepts tokens of clocks that differ by less. */
const MAX_CLOCK_DIFFERENCE_MS = 30_000
const WEBHOOK_WAIT_MS = 3000
const WEBHOOK_PAUSE_MS = 250

/**
 * Checks that Hearth and clients reach LiveKit, that it has the key, and that its webhooks arrive. For that it creates
 * a room in LiveKit, and deletes it.
 */
export async function checkLivekit(config: Config, running: boolean): Promise<Finding[]> {
  const livekit = requireLivekit({ config })
  const { isReached, findings } = await checkApi(config, livekit)
  if (!isReached) return [...findings, await checkSocket(config, livekit)]
  const room = PROBE_ROOM + systemRandom.token(16)
  const refused = await manageRoom(config, livekit, { method: 'CreateRoom', body: { name: room, empty_timeout: 30 } })
  if (refused) return [...findings, refused, await checkSocket(config, livekit)]
  try {
    return [
      good(`Hearth creates rooms in LiveKit at ${livekit.apiUrl}`),
      ...findings,
      await checkSocket(config, livekit, room),
      ...(running ? [await checkWebhook(config, livekit, room)] : []),
    ]
  } finally {
    await manageRoom(config, livekit, { method: 'DeleteRoom', body: { room } })
  }
}

/** `isReached`: whether LiveKit answers at all. */
async function checkApi(config: Config, { apiUrl }: Livekit): Promise<{ isReached: boolean; findings: Finding[] }> {
  const answer = await fetchAnswer(config, apiUrl, { anyStatus: true })
  if (!answer.ok) {
    const fix = 'Start LiveKit, or set calls.livekit.api_url to where Hearth reaches it.'
    return { isReached: false, findings: [problem(`Hearth does not reach LiveKit at ${apiUrl}: ${answer.why}.`, fix)] }
  }
  const difference = Math.abs(Date.now() - Date.parse(answer.headers.get('date') ?? ''))
  if (Number.isNaN(difference) || difference < MAX_CLOCK_DIFFERENCE_MS) return { isReached: true, findings: [] }
  const what = `The clocks of Hearth and LiveKit differ by ${Math.round(difference / 1000)} s, so that tokens are invalid.`
  return { isReached: true, findings: [problem(what, 'Set both clocks by NTP.')] }
}

/** Creates or deletes a room; returns why that fails. */
async function manageRoom(
  config: Config,
  livekit: Livekit,
  { method, body }: { method: 'CreateRoom' | 'DeleteRoom'; body: object },
): Promise<Finding | undefined> {
  return withConnections(config, {}, async ({ configured }) => {
    const { signal: stopping } = new AbortController()
    const app = { clock: systemClock, configuredHttp: createOutgoingHttp(configured), stopping }
    try {
      await requestLivekit(app, livekit, { method, body, grant: { roomCreate: true }, timeoutMs: TIMEOUT_MS })
      return undefined
    } catch (error) {
      const fix =
        'Compare calls.livekit.api_key and api_secret with keys in the configuration of LiveKit, and api_url with its port.'
      return problem(`LiveKit at ${livekit.apiUrl} does not let Hearth create rooms: ${(error as Error).message}.`, fix)
    }
  })
}

/** Connects as a client does: to the public URL, by WebSocket if there is a room. Also tries a room that does not exist. */
async function checkSocket(config: Config, livekit: Livekit, room?: string): Promise<Finding> {
  const token = (name: string) =>
    signLivekitToken({ clock: systemClock }, livekit, {
      identity: 'hearth-doctor',
      lifetimeSeconds: TOKEN_SECONDS,
      video: { roomJoin: true, room: name, canPublish: false, canSubscribe: false },
    })
  const base = livekit.url.replace(/^ws/, 'http')
  const missing = `${PROBE_ROOM}missing-${systemRandom.token(16)}`
  const answer = await fetchAnswer(config, `${base}/rtc/validate?access_token=${await token(missing)}`, {
    anyStatus: true,
  })
  const fix = `Let the reverse proxy route ${livekit.url} to the port of LiveKit, with WebSockets, or correct calls.livekit.url.`
  if (!answer.ok) return problem(`Clients do not reach LiveKit at ${livekit.url}: ${answer.why}.`, fix)
  if (answer.status === 401) {
    const what = `The LiveKit at ${livekit.url} does not know the key of calls.livekit.`
    return problem(what, 'Make url and api_url lead to the same LiveKit.')
  }
  if (answer.status === 200) {
    const what = 'Everyone with a token can create rooms in LiveKit, also users of other servers.'
    return warning(what, 'Set auto_create: false in the section room of the configuration of LiveKit.')
  }
  if (answer.status !== 404 || !answer.text.includes('room')) {
    return problem(`Another program than LiveKit answers at ${livekit.url}, with ${answer.status}.`, fix)
  }
  if (room === undefined) return good(`Clients reach LiveKit at ${livekit.url}`)
  const why = await tryWebSocket(config, `${livekit.url}/rtc?protocol=9&access_token=${await token(room)}`)
  if (why === undefined) return good(`Clients connect to LiveKit at ${livekit.url}, by WebSocket`)
  return problem(`Clients cannot open a WebSocket to ${livekit.url}: ${why}.`, fix)
}

/** Opens and closes a WebSocket; returns why that fails. */
async function tryWebSocket(config: Config, url: string): Promise<string | undefined> {
  const dispatcher = trustingAgent(config)
  const socket = new WebSocket(url, { dispatcher })
  try {
    return await new Promise<string | undefined>((resolve) => {
      socket.onopen = () => resolve(undefined)
      socket.onerror = (event) => resolve((event as { message?: string }).message || 'the upgrade is refused')
      setTimeout(() => resolve(`no answer in ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS).unref()
    })
  } finally {
    socket.close()
    await dispatcher.destroy()
  }
}

/** Waits until the webhook of the doctor's room has arrived at Hearth. */
async function checkWebhook(config: Config, livekit: Livekit, room: string): Promise<Finding> {
  const url = `${livekit.serviceUrl}/sfu_webhook`
  const body = JSON.stringify({ event: PROBE_EVENT, room: { name: room } })
  const sha256 = createHash('sha256').update(body).digest('base64')
  const end = Date.now() + WEBHOOK_WAIT_MS
  for (;;) {
    const authorization = await signLivekitToken({ clock: systemClock }, livekit, {
      lifetimeSeconds: TOKEN_SECONDS,
      sha256,
    })
    const answer = await fetchJson(config, url, { body, anyStatus: true, headers: { authorization } })
    if (!answer.ok || answer.status !== 200) {
      const why = answer.ok ? `it answers ${answer.status}` : answer.why
      const fix = 'Let the reverse proxy route it to Hearth. After a change of the key, restart Hearth.'
      return warning(`Webhooks of LiveKit cannot arrive at ${url}: ${why}.`, fix)
    }
    if (answer.body.webhook_arrived === true) return good('Webhooks of LiveKit arrive')
    if (Date.now() > end) break
    await pause(WEBHOOK_PAUSE_MS)
  }
  return warning(
    `No webhook of LiveKit arrived within ${WEBHOOK_WAIT_MS / 1000} s: participants who close the browser stay in a call for ${config.calls.livekit.grace_period / 1000} s.`,
    `Add to the configuration of LiveKit: webhook: { api_key: ${livekit.apiKey}, urls: ['${url}'] }, and restart it.`,
  )
}
