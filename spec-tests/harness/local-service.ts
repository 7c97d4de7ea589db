import { type AddressInfo, createServer } from 'node:net'

/** A service of this machine that requests of strangers must not reach. */
export type LocalService = {
  port: number
  /** Returns the number of connections so far; each is closed immediately. */
  connections(): number
  stop(): void
}

/** Starts a service on all addresses of this machine. */
export async function startLocalService(): Promise<LocalService> {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '::', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    stop: () => void server.close(),
  }
}
