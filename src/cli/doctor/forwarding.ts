import { z } from 'zod'
import { isLoopback } from '../../config/complete.ts'
import type { Config, ListenerConfig } from '../../config.ts'
import { fetchJson } from './fetch-json.ts'
import { type Finding, good, warning } from './finding.ts'

const PATH = '/_matrix/client/unstable/hearth/arrival'
/** An address for documentation, from which no request comes: https://www.rfc-editor.org/rfc/rfc5737 */
const CLAIMED = '192.0.2.1'

/** What Hearth says of a request of ours: see api/client/arrival.ts. */
export type Arrival = z.output<typeof arrivalSchema>
const arrivalSchema = z.object({ address: z.string(), forwarded: z.int(), port: z.number() })

/** Whether limits count by the clients' addresses: Hearth is asked by its public URL, as it is and with an address that we claim to have. */
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

/** `plain`: how a request arrived that names no address; `claiming`: one that claims to be forwarded for another. */
export function judgeForwarding(
  url: URL,
  listener: ListenerConfig,
  { plain, claiming }: { plain: Arrival; claiming: Arrival },
): Finding[] {
  const at = `the listener on port ${listener.port}`
  const trusted = listener.trusted_proxies
  // A server that only this machine can reach is left alone. At another port something else than the listener answers.
  const isDirect = Number(url.port || (url.protocol === 'https:' ? 443 : 80)) === listener.port
  if (isDirect && isLoopback(url.hostname)) return []
  const isBehindProxy = plain.forwarded > 0 || !isDirect
  if (plain.forwarded > 0 && trusted === 0) {
    const count = plain.forwarded > 1 ? ` and trusted_proxies: ${plain.forwarded}` : ''
    return [
      warning(
        `Limits count all clients as one, for ${at} does not believe X-Forwarded-For.`,
        `If only the reverse proxy can reach it, set trust_forwarded_for: true${count} there, and restart Hearth.`,
      ),
    ]
  }
  if (plain.forwarded === 0 && isBehindProxy) {
    if (isPassedThrough(url, listener)) return []
    const mend = `Have the proxy set it to the client's address (${FOR_NGINX})${trusted > 0 ? '' : ', and set trust_forwarded_for: true at the listener'}.`
    return [warning('Limits count all clients as one, for the reverse proxy leaves out X-Forwarded-For.', mend)]
  }
  if (trusted > 0 && claiming.address === CLAIMED) {
    const evade = 'Clients evade limits, for they can claim any address in X-Forwarded-For.'
    if (!isBehindProxy) return [warning(evade, `Set trust_forwarded_for: false at ${at}, and restart Hearth.`)]
    if (plain.forwarded < trusted) return [warning(evade, setTrusted(plain.forwarded, at))]
    return [warning(evade, `Have the reverse proxy append to it rather than pass it on (${FOR_NGINX}).`)]
  }
  if (trusted > 0 && plain.forwarded > trusted) {
    return [
      warning(
        `Limits count clients by the address of a proxy, for requests pass ${plain.forwarded} proxies and ${at} believes ${trusted}.`,
        setTrusted(plain.forwarded, at),
      ),
    ]
  }
  return [good("Limits count by the clients' addresses")]
}

function setTrusted(count: number, at: string): string {
  return `Set trusted_proxies: ${count} at ${at}, and restart Hearth.`
}

const FOR_NGINX = 'nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'

/** Firewalls and containers forward ports, too: these can tell nothing, leave TLS as it is, and may or may not keep the addresses. */
function isPassedThrough(url: URL, listener: ListenerConfig): boolean {
  return listener.trusted_proxies === 0 && (url.protocol === 'https:') === (listener.tls !== undefined)
}
