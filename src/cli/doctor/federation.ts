import { isLoopback } from '../../config/complete.ts'
import type { Config } from '../../config.ts'
import { listenerUrl } from '../listener-url.ts'
import { fetchJson } from './fetch-json.ts'
import { type Check, good, problem, warning } from './finding.ts'

const DEFAULT_PORT = 8448
const VERSION = '/_matrix/federation/v1/version'

/** Other servers reach this one. https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names */
export const checkFederation: Check = async (config, running) => {
  const host = config.server_name.replace(/:\d+$/, '')
  if (!config.federation.enabled) return [good('Federation is off')]
  if (isLoopback(host)) return [warning(`Other servers cannot reach ${host}.`, federationNeedsName)]
  if (!running)
    return [warning('Federation is not checked, as Hearth does not run.', 'Start it, then run the doctor again.')]
  const listener = config.listeners.find(({ serves }) => serves.includes('federation'))
  const here = listener && (await fetchJson(config, listenerUrl(listener) + VERSION, { anyCertificate: true }))
  if (!here?.ok) {
    return [
      warning('This Hearth does not serve federation.', 'See which version supports it, and serves in listeners.'),
    ]
  }
  const address = await federationAddress(config)
  const url = `https://${address}${VERSION}`
  const answer = await fetchJson(config, url)
  if (answer.ok && answer.body.server) return [good(`Other servers reach ${address}`)]
  const why = answer.ok ? 'something else answers' : answer.why
  const delegation = JSON.stringify({ 'm.server': `${new URL(config.public_base_url).hostname}:443` })
  const mend = `Serve federation there with a valid certificate, or serve at https://${host}/.well-known/matrix/server what names the right place, such as ${delegation}. (A DNS SRV record _matrix-fed._tcp is not checked here.)`
  return [problem(`Other servers cannot use ${url}: ${why}.`, mend)]
}

const federationNeedsName = 'Set server_name to a public name before you invite people, or federation.enabled to false.'

async function federationAddress(config: Config): Promise<string> {
  if (/:\d+$/.test(config.server_name)) return config.server_name
  const answer = await fetchJson(config, `https://${config.server_name}/.well-known/matrix/server`)
  const delegated = answer.ok ? answer.body['m.server'] : undefined
  const address = typeof delegated === 'string' ? delegated : config.server_name
  return /:\d+$/.test(address) ? address : `${address}:${DEFAULT_PORT}`
}
