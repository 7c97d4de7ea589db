import { connect, type Socket } from 'node:net'

/** A TCP connection to a server, for clients that do not keep to HTTP. */
export type RawConnection = {
  /** Sends bytes as they are; what can no longer be sent is dropped. */
  send(text: string): void
  /** All that has come so far. */
  received(): string
  /** Becomes true once the server has closed the connection. */
  isClosed(): boolean
  /** Ends it at once, as a client does that goes away. */
  cut(): void
}

/** Connects to the server of a URL. */
export function openConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let received = ''
    let closed = false
    const socket: Socket = connect(Number(port), hostname, () =>
      resolve({
        send: (text) => void (socket.writable && socket.write(text, 'latin1')),
        received: () => received,
        isClosed: () => closed,
        cut: () => void socket.resetAndDestroy(),
      }),
    )
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    // Writing to a connection that the server has ended is what some of these clients are about.
    socket.on('error', reject)
    socket.on('close', () => {
      closed = true
    })
  })
}
