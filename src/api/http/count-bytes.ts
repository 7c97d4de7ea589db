import type { Socket } from 'node:net'

type Counted = { read: number; written: number }

/** The bytes counted for earlier requests of a connection. */
const counted = new WeakMap<Socket, Counted>()

/**
 * Returns a function that tells how many bytes a connection has received and sent since it last told: those of one
 * request and its response, with headers.
 */
export function countBytes(socket: Socket): () => { received: number; sent: number } {
  return () => {
    const { bytesRead: read, bytesWritten: written } = socket
    const before = counted.get(socket)
    counted.set(socket, { read, written })
    return { received: read - (before?.read ?? 0), sent: written - (before?.written ?? 0) }
  }
}
