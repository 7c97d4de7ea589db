import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'

/** A TCP connection to a server, for clients that do not keep to HTTP. */
export type RawConnection = {
  /** Sends bytes as they are; what can no longer be sent is dropped. */
  send(text: string | Buffer): void
  /** All that has come so far. */
  received(): string
  /** Becomes true once the server has closed the connection. */
  isClosed(): boolean
  /** Stops reading, as a client does that has no time. */
  pause(): void
  /** Resets it at once, as a client does that goes away. */
  cut(): void
}

/** Connects to the server of a URL; for `https:`, `authority` is the PEM file of the certificate authority to trust. */
export function openConnection(url: string, authority?: string): Promise<RawConnection> {
  const { protocol, hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let received = ''
    let closed = false
    const tcp: Socket = connect(Number(port), hostname)
    const isSecure = protocol === 'https:'
    const socket = isSecure ? secure({ socket: tcp, servername: hostname, ca: readFileSync(authority!) }) : tcp
    socket.once(isSecure ? 'secureConnect' : 'connect', () =>
      resolve({
        send: (text) => void (socket.writable && socket.write(text, 'latin1')),
        received: () => received,
        isClosed: () => closed,
        pause: () => void socket.pause(),
        cut: () => void tcp.resetAndDestroy(),
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
    if (isSecure) tcp.on('error', reject)
  })
}
