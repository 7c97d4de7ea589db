import type { Config } from '../../config.ts'
import { createOutgoingHttp } from '../../infra/http/outgoing-http.ts'
import { withConnections } from './federation.ts'
import { type Finding, good, problem } from './finding.ts'

const TIMEOUT_MS = 10_000
const NOT_FOUND = 404

/** Pings the service for spam checks, if one is configured, as synapse-http-antispam does. */
export async function checkSpamService(config: Config): Promise<Finding[]> {
  const { url, token } = config.spam_checks
  if (url === undefined) return []
  const what = `The service for spam checks at ${url}`
  try {
    const { status } = await ping(config, { url, token })
    if (status === 401 || status === 403) {
      return [problem(`${what} does not accept the token`, 'Correct spam_checks.token. Until then, all checks fail.')]
    }
    // Not every service knows the ping.
    if (status < 300 || status === NOT_FOUND) return [good(`${what} answers`)]
    return [problem(`${what} answers a ping with status ${status}`, 'Correct spam_checks.url, or look into its log.')]
  } catch (error) {
    return [problem(`${what} does not answer: ${(error as Error).message}`, 'Start it, or correct spam_checks.url.')]
  }
}

function ping(config: Config, { url, token }: { url: string; token: string | undefined }) {
  return withConnections(config, {}, ({ configured }) =>
    createOutgoingHttp(configured).postJson(
      `${url.replace(/\/$/, '')}/ping`,
      { id: 'hearth doctor' },
      {
        timeoutMs: TIMEOUT_MS,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
    ),
  )
}
