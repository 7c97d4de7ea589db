import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A web site that a user links to. Its host is at a public address for servers that use a scripted resolver. */
export type AttackerSite = {
  port: number
  /** Adds a page with a path of its own, and returns its URL. A text is HTML. */
  page(content: string | RequestListener): string
  /** Requests so far. */
  asked: IncomingMessage[]
  /** Current number of connections. */
  open(): number
  /** Bytes sent so far. */
  sent(): number
  close(): void
}

export async function startAttackerSite(): Promise<AttackerSite> {
  const pages = new Map<string, RequestListener>()
  const asked: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  let sentBefore = 0
  const server = createServer((request, response) => {
    asked.push(request)
    response.on('error', () => {})
    const page = pages.get(request.url!.split('?')[0]!)
    if (page) page(request, response)
    else response.writeHead(404).end()
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      sentBefore += socket.bytesWritten
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    page(content) {
      const path = `/${pages.size}`
      const html: RequestListener = (_, response) =>
        void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(content)
      pages.set(path, typeof content === 'string' ? html : content)
      return `http://site.public.test:${port}${path}`
    },
    asked,
    open: () => sockets.size,
    sent: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, sentBefore),
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
