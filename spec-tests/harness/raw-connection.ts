import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'

/** A TCP connection to a server, for clients that violate HTTP. */
export type RawConnection = {
  /** Sends raw bytes, or drops them if the connection is closed. */
  send(text: string | Buffer): void
  /** Returns all received data. */
  received(): string
  /** Returns whether the server has closed the connection. */
  isClosed(): boolean
  /** Stops reading, like a stalled client. */
  pause(): void
  /** Resets the connection, like a client that crashes. */
  cut(): void
}

/** Connects to the server of a URL; for `https:`, `authority` is the PEM file of the trusted certificate authority. */
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
    // Some of these clients write to a connection that the server has closed.
    socket.on('error', reject)
    socket.on('close', () => {
      closed = true
    })
    if (isSecure) tcp.on('error', reject)
  })
}
