import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { closeServer, drainServer, trackResponses } from './http-server.ts'

let server: Server
let agent: Agent
let drain: () => Promise<void>
let waiting: (() => void)[]
beforeEach(async () => {
  waiting = []
  agent = new Agent({ keepAlive: true, maxSockets: 1 })
  server = createServer((incoming, response) => {
    if (incoming.url === '/wait') waiting.push(() => response.end('late'))
    else response.end('done')
  })
  const responses = trackResponses(server)
  drain = () => drainServer(server, responses)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ;({ port } = server.address() as AddressInfo)
})
afterEach(() => agent.destroy())
let port: number

/** Asks over the kept connection; returns the Connection header of the response. */
function ask(path: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { port, path, agent, host: '127.0.0.1' }
    request(options, (response) => response.resume().on('end', () => resolve(response.headers.connection)))
      .on('error', reject)
      .end()
  })
}

test('a kept connection serves one more request while the server drains', async () => {
  expect(await ask('/')).toBe('keep-alive')
  const drained = drain()
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await ask('/')).toBe('close')
  await drained
  await expect(ask('/')).rejects.toThrow('ECONNREFUSED')
  await closeServer(server)
})

test('a response in flight closes its connection', async () => {
  const answer = ask('/wait')
  await expect.poll(() => waiting.length).toBe(1)
  const drained = drain()
  for (const respond of waiting) respond()
  expect(await answer).toBe('close')
  await drained
  await closeServer(server)
})
