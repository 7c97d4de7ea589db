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
const arrivalSchema = z.object({ address: z.string(), forwarded: z.boolean(), port: z.number() })

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
  const trusts = listener.trust_forwarded_for
  // Who can only be reached from this machine is left alone; but something else than the listener answers at another port, and speaks TLS for it.
  const isDirect = Number(url.port || (url.protocol === 'https:' ? 443 : 80)) === listener.port
  if (isDirect && isLoopback(url.hostname)) return []
  const isBehindProxy = plain.forwarded || !isDirect
  if (plain.forwarded && !trusts) {
    return [
      warning(
        `Limits count all clients as one, for ${at} does not believe X-Forwarded-For.`,
        'If only the reverse proxy can reach it, set trust_forwarded_for: true there, and restart Hearth.',
      ),
    ]
  }
  if (!plain.forwarded && isBehindProxy) {
    if (isPassedThrough(url, listener)) return []
    const mend = `Have the proxy set it to the client's address (${FOR_NGINX})${trusts ? '' : ', and set trust_forwarded_for: true at the listener'}.`
    return [warning('Limits count all clients as one, for the reverse proxy leaves out X-Forwarded-For.', mend)]
  }
  if (trusts && claiming.address === CLAIMED) {
    return [
      warning(
        'Clients evade limits, for they can claim any address in X-Forwarded-For.',
        isBehindProxy
          ? `Have the reverse proxy set it rather than add to it (${FOR_NGINX}).`
          : `Set trust_forwarded_for: false at ${at}, and restart Hearth.`,
      ),
    ]
  }
  return [good("Limits count by the clients' addresses")]
}

const FOR_NGINX = 'nginx: proxy_set_header X-Forwarded-For $remote_addr;'

/** Firewalls and containers forward ports, too: these can tell nothing, leave TLS as it is, and may or may not keep the addresses. */
function isPassedThrough(url: URL, listener: ListenerConfig): boolean {
  return !listener.trust_forwarded_for && (url.protocol === 'https:') === (listener.tls !== undefined)
}
