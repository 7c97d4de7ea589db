import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { connect, isIP, type Socket } from 'node:net'
import { connect as secureConnect } from 'node:tls'
import type { Config } from '../../config.ts'
import { createTrust } from '../../infra/http/trusted-connections.ts'
import { type Finding, good, problem, warning } from './finding.ts'

const TIMEOUT_MS = 3000
const MAX_ATTEMPTS = 3
const MAGIC_COOKIE = 0x2112a442
const BINDING_REQUEST = 0x0001
const BINDING_RESPONSE = 0x0101

type TurnAddress = { host: string; port: number; transport: 'udp' | 'tcp' | 'tls' }

/** Checks that the TURN servers of one-to-one calls answer. */
export async function checkTurn(config: Config): Promise<Finding[]> {
  const { uris, shared_secret: secret } = config.turn
  if (uris.length === 0) {
    const what = 'One-to-one calls fail between networks that cannot reach each other: there is no TURN server.'
    return [warning(what, 'Run a TURN server, such as coturn, and set turn.uris.')]
  }
  const answers = await Promise.all(uris.map((uri) => checkUri(config, uri)))
  if (secret !== undefined) return answers
  const what = 'All users share one user name and password of the TURN server.'
  return [...answers, warning(what, 'Set turn.shared_secret, and use-auth-secret in coturn.')]
}

async function checkUri(config: Config, uri: string): Promise<Finding> {
  const address = parseTurnUri(uri)
  if (!address) return problem(`${uri} is not the address of a TURN server.`, 'Correct turn.uris.')
  try {
    await requestBinding(config, address)
    return good(`The TURN server ${uri} answers`)
  } catch (error) {
    const fix = `Start the TURN server, and open its port ${address.port} (${address.transport === 'udp' ? 'UDP' : 'TCP'}).`
    return problem(`The TURN server ${uri} does not answer: ${(error as Error).message}.`, fix)
  }
}

/** https://www.rfc-editor.org/rfc/rfc7065 */
export function parseTurnUri(uri: string): TurnAddress | undefined {
  const parts = /^(turns?|stuns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$/i.exec(uri)
  if (!parts) return undefined
  const [, scheme = '', host = '', port, transport = 'udp'] = parts
  const isSecure = /s$/i.test(scheme)
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port ?? (isSecure ? 5349 : 3478)),
    transport: isSecure ? 'tls' : (transport.toLowerCase() as 'udp' | 'tcp'),
  }
}

/** Sends a request that every TURN server answers without credentials: https://www.rfc-editor.org/rfc/rfc8489 */
async function requestBinding(config: Config, address: TurnAddress): Promise<void> {
  const request = Buffer.alloc(20)
  request.writeUInt16BE(BINDING_REQUEST, 0)
  request.writeUInt32BE(MAGIC_COOKIE, 4)
  randomBytes(12).copy(request, 8)
  const isAnswer = (data: Buffer) =>
    data.length >= 20 && data.readUInt16BE(0) === BINDING_RESPONSE && data.subarray(8, 20).equals(request.subarray(8))
  if (address.transport === 'udp') return overUdp(address, request, isAnswer)
  return overStream(config, address, { request, isAnswer })
}

async function overUdp(
  { host, port }: TurnAddress,
  request: Buffer,
  isAnswer: (data: Buffer) => boolean,
): Promise<void> {
  const { address, family } = await lookup(host)
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
  const timers: NodeJS.Timeout[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const send = () => socket.send(request, port, address, (error) => error && reject(error))
      socket.on('message', (data) => isAnswer(data) && resolve())
      socket.on('error', reject)
      // Datagrams may be lost.
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) timers.push(setTimeout(send, attempt * 500))
      timers.push(setTimeout(() => reject(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS))
    })
  } finally {
    // A closed socket throws when it is to send.
    for (const timer of timers) clearTimeout(timer)
    socket.close()
  }
}

async function overStream(
  config: Config,
  { host, port, transport }: TurnAddress,
  { request, isAnswer }: { request: Buffer; isAnswer: (data: Buffer) => boolean },
): Promise<void> {
  const socket: Socket =
    transport === 'tcp'
      ? connect({ host, port })
      : secureConnect({
          host,
          port,
          secureContext: createTrust(config.federation.trusted_certificates)(),
          ...(isIP(host) === 0 && { servername: host }),
        })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('data', (data: Buffer) => (isAnswer(data) ? resolve() : reject(new Error('its answer is not STUN'))))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('the connection closes')))
      socket.setTimeout(TIMEOUT_MS, () => reject(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)))
      socket.once(transport === 'tcp' ? 'connect' : 'secureConnect', () => socket.write(request))
    })
  } finally {
    socket.destroy()
  }
}
