import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createTestAuthority } from '../../testing/test-authority.ts'
import type { ServerName } from '../core/ids.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { systemClock } from '../infra/clock.ts'
import { createFederationClient, type FederationClient } from '../infra/federation/federation-client.ts'
import { createFederationConnections } from '../infra/federation/federation-connections.ts'

type Asked = { method: string; uri: string; authorization: string; body: string }
type Respond = (response: ServerResponse, asked: Asked) => unknown

/** Another server on this machine, with TLS, whose responses a test defines. */
export type TestPeer = {
  serverName: ServerName
  /** The received requests. */
  asked: Asked[]
  answerWith(respond: Respond): void
}

export const US = 'us.example' as ServerName
export const OUR_KEY = signingKeyFromSeed('ours', Buffer.alloc(32, 4))

/** Creates other servers, reached over the real network. `dispose` stops all. */
export function createPeerNetwork() {
  const authority = createTestAuthority()
  const tls = authority.issue('localhost')
  const ends: (() => unknown)[] = [() => authority.dispose()]

  async function startPeer(): Promise<TestPeer> {
    const asked: Asked[] = []
    let respond: Respond = (response) => response.writeHead(404).end()
    const handle = async (request: IncomingMessage, response: ServerResponse) => {
      const { method = '', url: uri = '', headers } = request
      asked.push({ method, uri, authorization: headers.authorization ?? '', body: await text(request) })
      await respond(response, asked.at(-1)!)
    }
    const server = createServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, handle)
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    ends.push(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const answerWith = (next: Respond) => {
      respond = next
    }
    return { serverName: `localhost:${port}` as ServerName, asked, answerWith }
  }

  function connect(
    more: {
      enabled?: boolean
      trusting?: boolean
      guarded?: boolean
      requestEnded?: Parameters<typeof createFederationClient>[0]['requestEnded']
    } = {},
  ): FederationClient {
    const { enabled = true, trusting = true, guarded = false, requestEnded } = more
    const trustedCertificates = trusting ? [authority.certificate] : []
    const rules = { trustedCertificates, allowPrivateAddresses: !guarded }
    const connections = createFederationConnections(rules, systemClock)
    ends.push(() => connections.close())
    const measured = requestEnded && { requestEnded }
    return createFederationClient({
      serverName: US,
      signingKeys: { current: OUR_KEY },
      enabled,
      connections,
      ...measured,
    })
  }

  return {
    startPeer,
    connect,
    async dispose() {
      for (const end of ends.splice(0).reverse()) await end()
    },
  }
}
