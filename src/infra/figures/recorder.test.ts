import { expect, test } from 'vitest'
import { OTHERS } from '../../core/figures/traffic.ts'
import { createRecorder } from './recorder.ts'

const REQUEST = { route: '/sync', client: 'Element X', peer: undefined, seconds: 0.02, received: 10, sent: 100 }

test('bytes of a connection that is no request count as no request', () => {
  const recorder = createRecorder(true)
  recorder.bytes({ route: '/socket', client: 'Element X', received: 5, sent: 50 })
  recorder.request(REQUEST)
  const { routes, clients, load } = recorder.take()
  expect(routes.get('/socket')).toEqual([0, 0, 5, 50])
  expect(clients.get('Element X')?.slice(0, 4)).toEqual([1, 0.02, 15, 150])
  expect(load.requests.slice(0, 4)).toEqual([1, 0.02, 15, 150])
})

test('requests of other servers, and those to them, are traffic with them', () => {
  const recorder = createRecorder(true)
  recorder.request({ ...REQUEST, peer: 'a.example' })
  recorder.requestToPeer('a.example', { seconds: 1, received: 1000, sent: 1 })
  const { peers, load } = recorder.take()
  expect(peers.get('a.example')?.slice(0, 4)).toEqual([2, 1.02, 1010, 101])
  expect(load.requests[0]).toBe(1)
})

test('any number of servers takes a bounded amount of memory, and no byte is lost', () => {
  const recorder = createRecorder(true)
  for (let n = 0; n < 10_000; n++) recorder.requestToPeer(`s${n}.example`, { seconds: 1, received: 1, sent: 2 })
  const { peers } = recorder.take()
  expect(peers.size).toBeLessThanOrEqual(2001)
  expect(peers.get(OTHERS)?.[0]).toBeGreaterThan(7000)
  expect([...peers.values()].reduce((sum, traffic) => sum + traffic[3]!, 0)).toBe(20_000)
})

test('a recorder that is not enabled counts nothing', () => {
  const recorder = createRecorder(false)
  recorder.request({ ...REQUEST, peer: 'a.example' })
  recorder.statement(1)
  recorder.connection(1, { used: 1, waiting: 1 })
  recorder.bytes({ route: '/socket', client: 'Element X', received: 5, sent: 50 })
  recorder.requestToPeer('a.example', { seconds: 1, received: 1, sent: 1 })
  const { routes, clients, peers, load } = recorder.take()
  expect([routes.size, clients.size, peers.size]).toEqual([0, 0, 0])
  expect(load).toEqual({ values: {}, requests: [], statements: [] })
})
