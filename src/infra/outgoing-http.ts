import { lookup as lookupName } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Agent, request } from 'undici'

/** Requests to addresses that users name: they must not reach into the server's own network. */
export type OutgoingHttp = {
  /**
   * Posts JSON; answers of every status come back, `body` undefined where it is no JSON. Follows no redirects. Rejects when there is no
   * answer in `timeout` ms, the answer is too large, or the address is a private one.
   */
  postJson(url: string, body: unknown, timeout: number): Promise<{ status: number; body: unknown }>
  close(): Promise<void>
}

const MAX_ANSWER_BYTES = 64 * 1024
const CONNECT_TIMEOUT_MS = 5000

/** `allowPrivateAddresses`: for tests and private networks. */
export function createOutgoingHttp({ allowPrivateAddresses }: { allowPrivateAddresses: boolean }): OutgoingHttp {
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(!allowPrivateAddresses && { lookup: publicLookup }) },
    maxResponseSize: MAX_ANSWER_BYTES,
  })
  return {
    async postJson(url, body, timeout) {
      const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
      // Addresses are not looked up.
      if (!allowPrivateAddresses && isPrivateAddress(host)) throw new Error(`${host} is a private address`)
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeout),
      })
      return { status: answer.statusCode, body: parse(await answer.body.text()) }
    },
    close: () => agent.destroy(),
  }
}

/** Whether an address is of no use to the public internet: loopback, private, link-local, multicast, reserved. False for names. */
export function isPrivateAddress(host: string): boolean {
  const family = isIP(host)
  return family !== 0 && PRIVATE.check(host, family === 6 ? 'ipv6' : 'ipv4')
}

/** Looks a name up when the connection is made, so that it cannot change between a check and the use. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookupName(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0)
    const allowed = addresses.filter(({ address }) => !isPrivateAddress(address))
    const first = allowed[0]
    if (!first) return callback(new Error(`${hostname} has no public address`), '', 0)
    if (options.all) callback(null, allowed)
    else callback(null, first.address, first.family)
  })
}

const PRIVATE = new BlockList()
for (const range of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/127',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]) {
  const [address = '', bits] = range.split('/')
  PRIVATE.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
