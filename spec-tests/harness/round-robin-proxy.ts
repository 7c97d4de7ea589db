import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, request, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream'

type ProxyOptions = {
  headers?: Record<string, string>
  port?: number
  passes?: RegExp
  tls?: { certificate: string; key: string } | undefined
}

/**
 * Starts an HTTP proxy that sends each request, and each upgraded connection (WebSockets), to the next backend in
 * turn, with further headers. `port`: 0 for any. `passes`: the paths that it knows; it answers others with 404.
 * `tls`: it speaks HTTPS.
 */
export async function startRoundRobinProxy(
  backends: readonly string[],
  { headers = {}, port = 0, passes = /^/, tls }: ProxyOptions = {},
): Promise<{ url: string; close(): Promise<void> }> {
  let next = 0
  const serve: RequestListener = (incoming, outgoing) => {
    if (!passes.test(incoming.url!)) return void outgoing.writeHead(404).end()
    const backend = new URL(backends[next++ % backends.length]!)
    const forward = request(
      {
        host: backend.hostname,
        port: backend.port,
        method: incoming.method,
        path: incoming.url,
        headers: { ...incoming.headers, ...headers },
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode!, answer.headers)
        // A backend that closes early also closes the client's connection.
        pipeline(answer, outgoing, () => {})
      },
    )
    forward.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()))
    outgoing.on('close', () => forward.destroy())
    incoming.pipe(forward)
    // Otherwise an unread rest of the body would precede the next request on the connection.
    forward.on('close', () => incoming.unpipe(forward).resume())
  }
  const server: Server = tls
    ? createTlsServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, serve)
    : createServer(serve)
  const upgraded = new Set<Socket>()
  server.on('upgrade', (incoming, client: Socket, head) => {
    const backend = new URL(backends[next++ % backends.length]!)
    const forward = connect(Number(backend.port), backend.hostname, () => {
      const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`]
      for (let i = 0; i < incoming.rawHeaders.length; i += 2)
        lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`)
      forward.write(`${lines.join('\r\n')}\r\n\r\n`)
      forward.write(head)
      forward.pipe(client).pipe(forward)
    })
    upgraded.add(client)
    for (const [one, other] of [
      [client, forward],
      [forward, client],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => {
        other.destroy()
        upgraded.delete(client)
      })
    }
  })
  // Longer than any pause of a busy test: a client must not send on a connection that is being closed.
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
        for (const socket of upgraded) socket.destroy()
      }),
  }
}
