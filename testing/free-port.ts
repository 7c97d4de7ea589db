import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the ephemeral ports of outgoing connections, one of which could take the port before a server listens on it.
 */
const [FIRST, LAST] = [10_240, 32_767] as const

/** Returns a TCP port of 127.0.0.1 that is free now. Random, so that concurrent callers get different ones. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
