import { isLoopback } from '../../config/complete.ts'
import type { Config } from '../../config.ts'
import { readServerKeys } from '../../core/signing/server-key-response.ts'
import { systemClock } from '../../infra/clock.ts'
import {
  createFederationConnections,
  type FederationConnections,
} from '../../infra/federation/federation-connections.ts'
import { listenerUrl } from '../listener-url.ts'
import { askServer, describeTarget } from './ask-server.ts'
import { fetchJson } from './fetch-json.ts'
import { type Check, type Finding, good, problem, warning } from './finding.ts'

const KEYS = '/_matrix/key/v2/server'

/** Checks that other servers reach this one. https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names */
export const checkFederation: Check = async (config, running) => {
  const host = config.server_name.replace(/:\d+$/, '')
  if (!config.federation.enabled) return [good('Federation is off')]
  if (isLoopback(host) && config.server_name === host) {
    return [warning(`Other servers cannot reach ${host}.`, federationNeedsName)]
  }
  if (!running)
    return [
      warning(
        'The federation checks were skipped, because Hearth does not run.',
        'Start it, then run the doctor again.',
      ),
    ]
  const listener = config.listeners.find(({ serves }) => serves.includes('federation'))
  const here = listener && (await fetchJson(config, listenerUrl(listener) + KEYS, { anyCertificate: true }))
  if (!here?.ok) {
    return [
      problem('This Hearth does not serve federation.', 'Add federation to serves of a listener, and restart it.'),
    ]
  }
  return withConnections(config, { toOurselves: true }, (connections) => checkOwnName(config, connections, here.body))
}

/** Opens connections under the configured rules. Connections to this server are always allowed: here it may have a private address. */
export async function withConnections<Result>(
  { federation }: Config,
  { toOurselves = false }: { toOurselves?: boolean },
  work: (connections: FederationConnections) => Promise<Result>,
): Promise<Result> {
  const rules = {
    trustedCertificates: federation.trusted_certificates,
    allowPrivateAddresses: federation.allow_private_addresses || toOurselves,
  }
  const connections = createFederationConnections(rules, systemClock)
  try {
    return await work(connections)
  } finally {
    await connections.close()
  }
}

/** Checks that the server found under this server's name publishes this server's keys. */
async function checkOwnName(
  config: Config,
  connections: FederationConnections,
  here: Record<string, unknown>,
): Promise<Finding[]> {
  const name = config.server_name
  const answer = await askServer(connections, name, { path: KEYS })
  const place = answer.target ? describeTarget(name, answer.target) : name
  if (!answer.ok) {
    const delegation = JSON.stringify({ 'm.server': `${new URL(config.public_base_url).hostname}:443` })
    const fix = `${answer.fix} Or serve the delegation at https://${name.replace(/:\d+$/, '')}/.well-known/matrix/server, such as ${delegation}.`
    return [problem(`Other servers cannot use ${name}, at ${place}: ${answer.why}.`, fix)]
  }
  const keys = readServerKeys(answer.body, name, Date.now())?.map(({ keyId, publicKey }) => keyId + publicKey)
  const ours = readServerKeys(here, name, Date.now())?.map(({ keyId, publicKey }) => keyId + publicKey)
  if (keys && ours?.some((key) => keys.includes(key))) return [good(`Other servers reach ${name}, at ${place}`)]
  const what = `Other servers find a different homeserver at ${place}.`
  return [problem(what, 'Make server_name, DNS and /.well-known/matrix/server lead to this server.')]
}

const federationNeedsName = 'Set server_name to a public name before you invite people, or federation.enabled to false.'
