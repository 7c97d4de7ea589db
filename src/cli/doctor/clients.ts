import { isLoopback } from '../../config/complete.ts'
import type { Config } from '../../config.ts'
import { withoutTrailingSlashes } from '../../core/text/trailing-slashes.ts'
import { checkDirectory } from './directory.ts'
import { fetchJson } from './fetch-json.ts'
import { type Check, type Finding, good, problem, warning } from './finding.ts'
import { checkForwarding } from './forwarding.ts'
import { checkIdentityProviders } from './identity-providers.ts'
import { checkPages } from './pages.ts'

const SLIDING_SYNC = 'org.matrix.simplified_msc3575'

/** Checks that clients reach the public URL, discover it from the server name, and get the answers that they need before a login. */
export const checkClients: Check = async (config, running) => {
  if (!running) {
    return [
      warning('The client checks were skipped, because Hearth does not run.', 'Start it, then run the doctor again.'),
    ]
  }
  const reachable = await checkPublicUrl(config)
  return [
    ...reachable,
    ...(reachable.some(({ level }) => level === 'good') ? await checkPages(config) : []),
    ...(await checkDirectory(config)),
    ...(await checkIdentityProviders(config)),
    ...(await checkForwarding(config)),
    ...(await checkWellKnown(config)),
  ]
}

async function checkPublicUrl(config: Config): Promise<Finding[]> {
  const base = config.public_base_url
  const versions = await fetchJson(config, `${base}/_matrix/client/versions`)
  if (!versions.ok || !Array.isArray(versions.body.versions)) {
    const why = versions.ok ? 'another program answers' : versions.why
    const fix =
      'Check public_base_url, DNS, the firewall, and the reverse proxy, which must pass /_matrix on unchanged.'
    return [problem(`Clients cannot use ${base}: ${why}.`, fix)]
  }
  const cors = versions.headers.get('access-control-allow-origin')
  const features = versions.body.unstable_features as Record<string, unknown> | undefined
  const login = await fetchJson(config, `${base}/_matrix/client/v3/login`)
  return [
    good(`Clients reach ${base}`),
    ...(cors === '*'
      ? []
      : [
          problem(
            'Web clients cannot use it: CORS headers are wrong or duplicated.',
            'Remove Access-Control-* from the reverse proxy: Hearth sets these headers.',
          ),
        ]),
    ...(features?.[SLIDING_SYNC] === true
      ? []
      : [
          warning(
            'Element X cannot use it: this server has no sliding sync.',
            'Use another client, or a newer Hearth.',
          ),
        ]),
    ...(login.ok && Array.isArray(login.body.flows)
      ? [good('Clients can log in')]
      : [problem(`Clients cannot log in: ${login.ok ? 'no flows' : login.why}.`, 'Read the log of Hearth.')]),
  ]
}

/** https://spec.matrix.org/v1.19/client-server-api/#well-known-uris */
async function checkWellKnown(config: Config): Promise<Finding[]> {
  const host = config.server_name.replace(/:\d+$/, '')
  if (isLoopback(host)) return [good(`${host} is a name for this machine only: clients need the URL`)]
  const url = `https://${host}/.well-known/matrix/client`
  const answer = await fetchJson(config, url)
  const wanted = JSON.stringify({ 'm.homeserver': { base_url: config.public_base_url } })
  const fix = `Pass /.well-known/matrix/ of ${host} on to Hearth, or serve there, with Access-Control-Allow-Origin: *, ${wanted}`
  if (!answer.ok) {
    const what = `Clients do not find the server by its name: ${url}: ${answer.why}.`
    return [new URL(config.public_base_url).host === host ? warning(what, fix) : problem(what, fix)]
  }
  const homeserver = answer.body['m.homeserver'] as { base_url?: unknown } | undefined
  const given = withoutTrailingSlashes(String(homeserver?.base_url))
  if (given !== config.public_base_url) return [problem(`${url} sends clients to ${given}.`, fix)]
  if (answer.headers.get('access-control-allow-origin') !== '*') {
    return [problem(`Web clients cannot read ${url}: CORS headers are missing.`, fix)]
  }
  return [good(`Clients find the server by the name ${host}`)]
}
