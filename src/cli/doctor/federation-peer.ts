import type { Config } from '../../config.ts'
import type { ServerName } from '../../core/ids.ts'
import { readServerKeys } from '../../core/signing/server-key-response.ts'
import type { FederationConnections } from '../../infra/federation/federation-connections.ts'
import { listenerUrl } from '../listener-url.ts'
import { askServer, describeTarget } from './ask-server.ts'
import { withConnections } from './federation.ts'
import { fetchJson } from './fetch-json.ts'
import { type Finding, good, problem, warning } from './finding.ts'

const KEYS = '/_matrix/key/v2/server'
const VERSION = '/_matrix/federation/v1/version'
const NOTARY = '/_matrix/key/v2/query'
/** Clocks that differ by more make keys and events look expired or early. */
const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000

/** Checks that this server reaches another one, and the other this one. */
export function checkPeer(config: Config, peer: ServerName): Promise<Finding[]> {
  return withConnections(config, {}, async (connections) => {
    const outwards = await checkOutwards(connections, peer)
    if (outwards.some(({ level }) => level === 'problem')) return outwards
    return [...outwards, ...(await checkInwards(config, connections, peer))]
  })
}

/** Checks discovery, connection, homeserver, keys and clock, up to the first failure. */
async function checkOutwards(connections: FederationConnections, peer: ServerName): Promise<Finding[]> {
  const answer = await askServer(connections, peer, { path: KEYS })
  const place = answer.target ? describeTarget(peer, answer.target) : undefined
  if (!answer.ok)
    return [problem(`${peer}${place ? ` is at ${place}, but` : ''} cannot be used: ${answer.why}.`, answer.fix)]
  const found = good(`${peer} is at ${place}, with a trusted certificate`)
  const now = Date.now()
  const keys = readServerKeys(answer.body, peer, now)
  if (!keys) {
    const what = `The server there has no valid signing keys of ${peer}.`
    return [
      found,
      problem(
        what,
        `${peer} must publish its own keys, signed with one of them. Check its server_name and signing key.`,
      ),
    ]
  }
  const current = keys.filter(({ retired, validUntil }) => !retired && validUntil > now)
  return [
    found,
    current.length > 0
      ? good(`Its keys are valid: ${current.map(({ keyId }) => keyId).join(', ')}`)
      : problem('Its keys have expired.', `Correct the clock of ${peer}.`),
    ...checkClock(peer, answer.date, now),
    await checkVersion(connections, peer),
  ]
}

function checkClock(peer: ServerName, date: number | undefined, now: number): Finding[] {
  const difference = date === undefined ? 0 : Math.abs(now - date)
  if (difference < MAX_CLOCK_DIFFERENCE_MS) return []
  const what = `The clocks here and at ${peer} differ by ${Math.round(difference / 60_000)} minutes.`
  return [warning(what, 'Set both clocks by NTP.')]
}

async function checkVersion(connections: FederationConnections, peer: ServerName): Promise<Finding> {
  const answer = await askServer(connections, peer, { path: VERSION })
  if (!answer.ok) return warning(`It does not report its version: ${answer.why}.`, answer.fix)
  const { name, version } = (answer.body.server ?? {}) as { name?: unknown; version?: unknown }
  return good(`It runs ${name ?? 'an unknown server'} ${version ?? ''}`.trim())
}

/** Asks the other server for our keys, as fresh as only a new request to this server can give them. */
async function checkInwards(config: Config, connections: FederationConnections, peer: ServerName): Promise<Finding[]> {
  const listener = config.listeners.find(({ serves }) => serves.includes('federation'))
  const here = listener && (await fetchJson(config, listenerUrl(listener) + KEYS, { anyCertificate: true }))
  const ours = here?.ok ? readServerKeys(here.body, config.server_name, Date.now()) : undefined
  if (!ours) {
    const what = `The way from ${peer} to this server was not checked, because Hearth does not serve federation here.`
    return [warning(what, 'Start Hearth with federation in serves of a listener, then run the doctor again.')]
  }
  const fresh = { minimum_valid_until_ts: Math.max(...ours.map(({ validUntil }) => validUntil)) - 1 }
  const wanted = Object.fromEntries(ours.filter(({ retired }) => !retired).map(({ keyId }) => [keyId, fresh]))
  const body = { server_keys: { [config.server_name]: wanted } }
  const answer = await askServer(connections, peer, { path: NOTARY, body })
  if (!answer.ok) {
    const what = `${peer} does not report whether it reaches this server: ${answer.why}.`
    return [warning(what, 'Some servers never do. Try another one.')]
  }
  const serverKeys = Array.isArray(answer.body.server_keys) ? answer.body.server_keys : []
  const reaches = serverKeys.some((each) => (readServerKeys(each, config.server_name, Date.now())?.length ?? 0) > 0)
  if (reaches) return [good(`${peer} reaches ${config.server_name} and has its keys`)]
  const fix = `Run the doctor without --federation, which tests this server's own name. Check that ${peer} trusts the certificate, and that no firewall blocks it.`
  return [problem(`${peer} does not reach ${config.server_name}.`, fix)]
}
