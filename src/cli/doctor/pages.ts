import { ENDPOINTS } from '../../api/endpoints.ts'
import type { Config } from '../../config.ts'
import { fetchAnswer, fetchJson } from './fetch-json.ts'
import { type Finding, good, problem } from './finding.ts'

/** No endpoint has this path below its first segment. Hearth answers it with this errcode, another program does not. */
const UNKNOWN_PATH = '/hearth/doctor/probe'
const UNKNOWN_ERRCODE = 'M_UNRECOGNIZED'
const METADATA_PATH = '/.well-known/openid-configuration'

/** Checks that sign-in by OAuth 2.0 works at the public URL: its metadata, and the pages, which are outside `/_matrix`. */
export async function checkPages(config: Config): Promise<Finding[]> {
  const base = config.public_base_url
  const unreached: string[] = []
  for (const path of pagePaths()) if (!(await reachesHearth(config, base + path))) unreached.push(path)
  const form = await fetchAnswer(config, `${base}/login`)
  if (!form.ok || !form.text.includes('name="csrf"')) unreached.unshift('/login')
  if (config.oauth.enabled) {
    const metadata = await fetchJson(config, `${base}${METADATA_PATH}`)
    if (!metadata.ok || metadata.body.issuer !== `${base}/`) unreached.push(METADATA_PATH)
  }
  if (unreached.length === 0) return [good('Browsers reach the pages for sign-in and for accounts')]
  const paths = [...new Set(unreached)].join(', ')
  return [
    problem(
      `Element X and Element cannot sign users in: at ${base}, these paths do not reach Hearth: ${paths}.`,
      `Have the reverse proxy pass all paths of ${new URL(base).host} on to Hearth, or at least /_matrix, /_synapse, /.well-known, ${pagePaths().join(', ')}, and everything below them.`,
    ),
  ]
}

/** Returns the first segments of the paths outside the Matrix API. */
function pagePaths(): string[] {
  const paths = ENDPOINTS.client.flatMap(({ path }) => path).map((path) => `/${path.split('/')[1]}`)
  return [...new Set(paths)].filter((path) => !['/', '/_matrix', '/_synapse', '/.well-known'].includes(path)).sort()
}

async function reachesHearth(config: Config, url: string): Promise<boolean> {
  const answer = await fetchJson(config, url + UNKNOWN_PATH, { anyStatus: true })
  return answer.ok && answer.body.errcode === UNKNOWN_ERRCODE
}
