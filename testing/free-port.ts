import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the ports that systems give to connections that go out: one of these could be taken by such a connection before
 * somebody listens on it.
 */
const [FIRST, LAST] = [10_240, 32_767] as const

/**
 * A TCP port of 127.0.0.1 that nobody listens on at the moment. By chance, so that others who look at the same time
 * find another one.
 */
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
