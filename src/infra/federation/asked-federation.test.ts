import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { defaultConfig } from '../../config.ts'
import type { ServerName } from '../../core/ids.ts'
import { createPeerNetwork, type TestPeer } from '../../testing/test-peer.ts'
import { askOnBehalf } from './asked-federation.ts'
import { type Asker, createAskedLanes } from './asked-lanes.ts'
import type { FederationClient, FederationRequest } from './federation-client.ts'

const MALLORY: Asker = { kind: 'user', id: '@mallory:us' }
const ALICE: Asker = { kind: 'user', id: '@alice:us' }
const STRANGER: Asker = { kind: 'network', id: '192.0.2.1' }

let network: ReturnType<typeof createPeerNetwork>
let peer: TestPeer
let client: FederationClient
/** Requests that the peer has not answered. */
let open: ServerResponse[]
beforeAll(async () => {
  network = createPeerNetwork()
  peer = await network.startPeer()
  client = network.connect()
})
afterAll(() => network.dispose())
beforeEach(() => {
  open = []
  peer.answerWith((response) => open.push(response))
})

function setUp(limits: Partial<ReturnType<typeof defaultConfig>['limits']['remote_requests']> = {}) {
  const lanes = createAskedLanes({ ...defaultConfig().limits.remote_requests, ...limits })
  return (asker: Asker) => {
    const bound = askOnBehalf(client, lanes, asker)
    const command = { destination: peer.serverName, method: 'GET', path: '/asked' } as const
    return {
      get: (more: Partial<FederationRequest> = {}) => bound.request({ ...command, ...more }),
      stream: () => bound.stream(command),
    }
  }
}

const answerAll = () => {
  for (const response of open.splice(0)) response.end('{}')
}
const isOpen = (count: number) => pollUntil(`${count} are asked`, () => open.length === count)

test('one user’s requests wait for that user’s alone, strangers’ for those of strangers, and what is ours for nobody’s', async () => {
  const as = setUp({ user: 2, users: 3, network: 1, networks: 1 })
  const [mallory, alice, stranger] = [as(MALLORY), as(ALICE), as(STRANGER)]
  const asked = [1, 2, 3, 4].map(() => mallory.get())
  await isOpen(2)
  asked.push(alice.get())
  await isOpen(3)
  asked.push(stranger.get(), stranger.get())
  await isOpen(4)
  asked.push(mallory.get({ lane: 'own' }))
  await isOpen(5)
  answerAll()
  await isOpen(3)
  answerAll()
  expect(await Promise.all(asked)).toHaveLength(8)
})

test('a request that waits too long is not made, nor one of which too many wait', async () => {
  const mallory = setUp({ user: 1, waiting: 1 })(MALLORY)
  const first = mallory.get()
  await isOpen(1)
  const second = mallory.get({ timeoutMs: 50 })
  await expect(mallory.get()).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
  await expect(second).rejects.toMatchObject({
    message: `${peer.serverName} was not asked in time, as too many requests wait`,
    retryable: true,
  })
  answerAll()
  expect(await first).toEqual({})
  expect(open).toHaveLength(0)
})

test('a request whose connection is still being made when its time is over fails in time, and keeps its place', async () => {
  const connected: Socket[] = []
  const tarpit = createServer((socket) => connected.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => tarpit.listen(0, '127.0.0.1', resolve))
  const destination = `127.0.0.1:${(tarpit.address() as AddressInfo).port}` as ServerName
  const mallory = setUp({ user: 1 })(MALLORY)
  const message = `${destination} cannot be reached`
  await expect(mallory.get({ destination, timeoutMs: 200 })).rejects.toMatchObject({ message })
  expect(connected.map(({ destroyed }) => destroyed)).toEqual([false])
  await expect(mallory.get({ timeoutMs: 50 })).rejects.toThrow('was not asked in time')
  for (const socket of connected) socket.destroy()
  tarpit.close()
  const third = mallory.get()
  await isOpen(1)
  answerAll()
  expect(await third).toEqual({})
})

test('a stream takes no place once it has begun, and ends when its time is over', async () => {
  const mallory = setUp({ user: 1 })(MALLORY)
  const begins = mallory.stream()
  await isOpen(1)
  open[0]!.write('{')
  const { body } = await begins
  const second = mallory.get()
  await isOpen(2)
  answerAll()
  expect(await second).toEqual({})
  let text = ''
  for await (const chunk of body) text += chunk
  expect(text).toBe('{{}')
})

test('answers that have too many bytes together are cut', async () => {
  const mallory = setUp()(MALLORY)
  peer.answerWith((response) => response.end(JSON.stringify('x'.repeat(1000))))
  const budget = { bytes: 2500 }
  const settled = await Promise.allSettled([1, 2, 3, 4].map(() => mallory.get({ budget })))
  expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(2)
})
