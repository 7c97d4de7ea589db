import { readFileSync } from 'node:fs'
import { isLoopback } from '../../config/complete.ts'
import type { Config } from '../../config.ts'
import { requireLivekit } from '../../services/rtc/livekit.ts'
import { CommandError } from '../command.ts'
import { askServer, describeTarget } from './ask-server.ts'
import { checkCaller } from './calls-caller.ts'
import { checkLivekit } from './calls-livekit.ts'
import { checkTurn } from './calls-turn.ts'
import { withConnections } from './federation.ts'
import { type Answer, fetchJson } from './fetch-json.ts'
import { type Finding, good, problem, warning } from './finding.ts'

const TRANSPORTS = '/_matrix/client/v1/rtc/transports'
const WELL_KNOWN = '/.well-known/matrix/client'
const USERINFO = '/_matrix/federation/v1/openid/userinfo'
const FOCI = 'org.matrix.msc4143.rtc_foci'
/** Element Call hands over leave events with this delay. */
const HANDED_OVER_DELAY_MS = 3_600_000
const READ_CALLS = 'docs/calls.md shows how to set it up.'
const CORS_FIX = 'Remove Access-Control-* from the reverse proxy: Hearth sets these headers.'

/**
 * Checks everything that calls need, from the outside where clients and other servers come from there. `tokenFile`: a
 * file with the access token of a user, as whom requests are tried too.
 */
export async function checkCalls(
  config: Config,
  { running, tokenFile }: { running: boolean; tokenFile: string | undefined },
): Promise<{ title: string; findings: Finding[] }[]> {
  const turn = { title: 'TURN', findings: await checkTurn(config) }
  if (config.calls.livekit.url === undefined) {
    const fix = `Set calls.livekit. ${READ_CALLS}`
    return [
      { title: 'Group calls', findings: [problem('Group calls are off: calls.livekit.url is missing.', fix)] },
      turn,
    ]
  }
  const livekit = { title: 'LiveKit', findings: await checkLivekit(config, running) }
  if (!running) {
    const skipped = warning(
      'The checks of Hearth were skipped, because it does not run.',
      'Start it, then run the doctor again.',
    )
    return [livekit, { title: 'Group calls', findings: [skipped] }, turn]
  }
  const findings = [
    ...checkDelayedEvents(config),
    await checkTransports(config),
    ...(await checkFoci(config)),
    ...(await checkTokenService(config)),
    await checkUserinfo(config),
  ]
  const caller = tokenFile === undefined ? [] : [await asCaller(config, tokenFile)]
  return [livekit, { title: 'Group calls', findings }, ...caller, turn]
}

async function asCaller(config: Config, tokenFile: string): Promise<{ title: string; findings: Finding[] }> {
  let token: string
  try {
    token = readFileSync(tokenFile, 'utf8').trim()
  } catch (error) {
    throw new CommandError(`Cannot read ${tokenFile}: ${(error as Error).message}`)
  }
  return { title: 'As a user', findings: await checkCaller(config, token) }
}

function checkDelayedEvents({ delayed_events: { max_delay } }: Config): Finding[] {
  if (max_delay === 0) {
    const what = 'Participants who lose the connection stay in calls: delayed events are disabled.'
    return [problem(what, 'Set delayed_events.max_delay to 7d.')]
  }
  if (max_delay < HANDED_OVER_DELAY_MS) {
    const what = 'Element Call cannot hand over the event that ends a membership: its delay of an hour is not allowed.'
    return [warning(what, 'Set delayed_events.max_delay to 1h or more.')]
  }
  return [good('Clients may schedule the events that end a membership')]
}

async function checkTransports(config: Config): Promise<Finding> {
  const url = config.public_base_url + TRANSPORTS
  const answer = await fetchJson(config, url, { anyStatus: true })
  if (!answer.ok)
    return problem(
      `Clients do not find LiveKit: ${url}: ${answer.why}.`,
      'Check public_base_url and the reverse proxy.',
    )
  if (answer.status === 404) {
    return problem(`Clients do not find LiveKit: ${url} answers 404.`, 'Restart Hearth, so that it uses calls.livekit.')
  }
  if (answer.status !== 401) {
    return problem(
      `Another program than Hearth answers at ${url}.`,
      'The reverse proxy must pass /_matrix on unchanged.',
    )
  }
  return hasCors(answer)
    ? good('Clients find LiveKit by the transports of Hearth')
    : problem(`Web clients cannot read ${url}.`, CORS_FIX)
}

/** Checks the foci in the well-known file of the server name, which some clients read instead of the transports. */
async function checkFoci(config: Config): Promise<Finding[]> {
  const host = config.server_name.replace(/:\d+$/, '')
  const base = isLoopback(host) ? config.public_base_url : `https://${host}`
  const { url, serviceUrl } = requireLivekit({ config })
  const wanted = JSON.stringify({ [FOCI]: [{ type: 'livekit', livekit_service_url: serviceUrl, url }] })
  const fix = `Pass ${WELL_KNOWN} of ${host} on to Hearth, or add there, with Access-Control-Allow-Origin: *, ${wanted}`
  const answer = await fetchJson(config, base + WELL_KNOWN)
  if (!answer.ok) return [warning(`Older clients do not find LiveKit: ${base}${WELL_KNOWN}: ${answer.why}.`, fix)]
  const foci = answer.body[FOCI]
  const first = Array.isArray(foci) ? foci.find((focus) => focus?.type === 'livekit') : undefined
  if (first?.livekit_service_url !== serviceUrl) {
    const what = first ? `names the token service ${first.livekit_service_url}` : `has no ${FOCI}`
    return [warning(`Older clients do not find LiveKit: ${base}${WELL_KNOWN} ${what}.`, fix)]
  }
  if (!hasCors(answer)) return [warning(`Web clients cannot read ${base}${WELL_KNOWN}.`, fix)]
  return [good(`Clients find LiveKit by ${base}${WELL_KNOWN}`)]
}

/** Checks that clients reach the service for users without an access token here. */
async function checkTokenService(config: Config): Promise<Finding[]> {
  const { serviceUrl } = requireLivekit({ config })
  const url = `${serviceUrl}/get_token`
  const answer = await fetchJson(config, url, { body: '{}', anyStatus: true })
  const fix = `Let the reverse proxy route ${serviceUrl} to /livekit/jwt of Hearth, or correct calls.livekit.service_url.`
  if (!answer.ok || answer.body.errcode !== 'M_BAD_JSON') {
    const why = answer.ok ? `it answers ${answer.status}` : answer.why
    return [problem(`Clients do not reach the token service: ${url}: ${why}.`, fix)]
  }
  if (!hasCors(answer)) return [problem(`Web clients cannot use ${serviceUrl}.`, CORS_FIX)]
  return [good(`Clients reach the token service at ${serviceUrl}`)]
}

/** Checks that token services elsewhere can verify the users of this server. They discover it as other servers do. */
function checkUserinfo(config: Config): Promise<Finding> {
  const { server_name: name } = config
  return withConnections(config, { toOurselves: true }, async (connections) => {
    const answer = await askServer(connections, name, { path: `${USERINFO}?access_token=hearth-doctor`, expected: 401 })
    const place = answer.target ? describeTarget(name, answer.target) : name
    if (answer.ok && answer.body.errcode === 'M_UNKNOWN_TOKEN') {
      return good(`Token services of other servers can verify users of ${name}, at ${place}`)
    }
    const why = answer.ok ? 'another program answers' : answer.why
    return warning(
      `Users of ${name} cannot use the LiveKit of other servers: their token services do not reach ${USERINFO} at ${place}: ${why}.`,
      `${answer.ok ? 'Correct the delegation in /.well-known/matrix/server.' : answer.fix} Hearth serves this path on listeners for clients too, also with federation.enabled: false.`,
    )
  })
}

function hasCors(answer: Answer & { ok: true }): boolean {
  return answer.headers.get('access-control-allow-origin') === '*'
}
