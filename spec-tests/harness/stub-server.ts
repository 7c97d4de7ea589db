import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TestFederation } from './federation.ts'

/** A server that a homeserver may be lured to. */
export type StubServer = {
  port: number
  /** `localhost:PORT` */
  name: string
  /** Returns this number of names that all resolve to it. */
  names(count: number): string[]
  /** Requested paths. */
  asked: string[]
  /** Current number of connections, and its maximum so far. */
  open(): number
  most(): number
  close(): void
}

/** Listens on this machine, accepts connections, and never responds. */
export function startTarpit(): Promise<StubServer> {
  return started(
    createServer((socket) => void socket.on('error', () => {})),
    [],
  )
}

/**
 * Responds by HTTPS as a test defines, with a certificate that the servers of a federation trust, or an untrusted one.
 */
export function startStub(
  federation: TestFederation,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  authority = federation.authority,
): Promise<StubServer> {
  const { certificate, key } = authority.issue('localhost')
  const asked: string[] = []
  const server = createHttpsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
    asked.push(request.url!)
    response.on('error', () => {})
    answer(request, response)
  })
  server.on('tlsClientError', () => {})
  return started(server, asked)
}

async function started(server: ReturnType<typeof createServer>, asked: string[]): Promise<StubServer> {
  const sockets = new Set<Socket>()
  let most = 0
  server.on('connection', (socket) => {
    sockets.add(socket)
    most = Math.max(most, sockets.size)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    name: `localhost:${port}`,
    // All of 127.0.0.0/8 is this machine.
    names: (count) =>
      Array.from({ length: count }, (_, place) => `127.1.${Math.floor(place / 250)}.${1 + (place % 250)}:${port}`),
    asked,
    open: () => sockets.size,
    most: () => most,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
