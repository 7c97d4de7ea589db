import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A plain HTTP proxy that sends each request to the next backend in turn. */
export async function startRoundRobinProxy(
  backends: readonly string[],
): Promise<{ url: string; close(): Promise<void> }> {
  let next = 0
  const server: Server = createServer((incoming, outgoing) => {
    const backend = new URL(backends[next++ % backends.length]!)
    const forward = request(
      {
        host: backend.hostname,
        port: backend.port,
        method: incoming.method,
        path: incoming.url,
        headers: incoming.headers,
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(outgoing)
      },
    )
    forward.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()))
    outgoing.on('close', () => forward.destroy())
    incoming.pipe(forward)
  })
  // Longer than any pause of a busy test: a client must not send on a connection that is just being closed.
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
