import { z } from 'zod'
import { isLoopback } from '../../config/complete.ts'
import type { Config, ListenerConfig } from '../../config.ts'
import { fetchJson } from './fetch-json.ts'
import { type Finding, good, warning } from './finding.ts'

const PATH = '/_matrix/client/unstable/hearth/arrival'
/** An address for documentation, from which no request comes: https://www.rfc-editor.org/rfc/rfc5737 */
const CLAIMED = '192.0.2.1'

/** Hearth's report on a request from the doctor; see src/api/client/users/arrival.ts. */
export type Arrival = z.output<typeof arrivalSchema>
const arrivalSchema = z.object({ address: z.string(), forwarded: z.int(), port: z.number() })

/** Checks that limits count by the clients' addresses: sends requests to the public URL, plain and with a forged address. */
export async function checkForwarding(config: Config): Promise<Finding[]> {
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetchJson(config, config.public_base_url + PATH, { headers })
    return answer.ok ? arrivalSchema.safeParse(answer.body).data : undefined
  }
  const [plain, claiming] = [await ask({}), await ask({ 'x-forwarded-for': CLAIMED })]
  const listener = config.listeners.find(({ port }) => port === plain?.port)
  if (!plain || !claiming || !listener) return []
  return judgeForwarding(new URL(config.public_base_url), listener, { plain, claiming })
}

/** `plain`: the report on a request without X-Forwarded-For; `claiming`: on one with a forged address. */
export function judgeForwarding(
  url: URL,
  listener: ListenerConfig,
  { plain, claiming }: { plain: Arrival; claiming: Arrival },
): Finding[] {
  const at = `the listener on port ${listener.port}`
  const trusted = listener.trusted_proxies
  // Skip a server that only this machine can reach. At another port another program than the listener answers.
  const isDirect = Number(url.port || (url.protocol === 'https:' ? 443 : 80)) === listener.port
  if (isDirect && isLoopback(url.hostname)) return []
  const isBehindProxy = plain.forwarded > 0 || !isDirect
  if (plain.forwarded > 0 && trusted === 0) {
    const count = plain.forwarded > 1 ? ` and trusted_proxies: ${plain.forwarded}` : ''
    return [
      warning(
        `Limits count all clients as one, because ${at} does not trust X-Forwarded-For.`,
        `If only the reverse proxy can reach it, set trust_forwarded_for: true${count} there, and restart Hearth.`,
      ),
    ]
  }
  if (plain.forwarded === 0 && isBehindProxy) {
    if (isPassedThrough(url, listener)) return []
    const fix = `Have the proxy set it to the client's address (${FOR_NGINX})${trusted > 0 ? '' : ', and set trust_forwarded_for: true at the listener'}.`
    return [warning('Limits count all clients as one, because the reverse proxy does not set X-Forwarded-For.', fix)]
  }
  if (trusted > 0 && claiming.address === CLAIMED) {
    const evade = 'Clients can evade limits, because they can claim any address in X-Forwarded-For.'
    if (!isBehindProxy) return [warning(evade, `Set trust_forwarded_for: false at ${at}, and restart Hearth.`)]
    if (plain.forwarded < trusted) return [warning(evade, setTrusted(plain.forwarded, at))]
    return [warning(evade, `Have the reverse proxy append to it rather than pass it on (${FOR_NGINX}).`)]
  }
  if (trusted > 0 && plain.forwarded > trusted) {
    return [
      warning(
        `Limits count clients by the address of a proxy: requests pass ${plain.forwarded} proxies, but ${at} trusts ${trusted}.`,
        setTrusted(plain.forwarded, at),
      ),
    ]
  }
  return [good("Rate limits use the clients' addresses")]
}

function setTrusted(count: number, at: string): string {
  return `Set trusted_proxies: ${count} at ${at}, and restart Hearth.`
}

const FOR_NGINX = 'nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'

/** Firewalls and containers forward ports too: they add no header, keep TLS, and may or may not keep the addresses. */
function isPassedThrough(url: URL, listener: ListenerConfig): boolean {
  return listener.trusted_proxies === 0 && (url.protocol === 'https:') === (listener.tls !== undefined)
}
