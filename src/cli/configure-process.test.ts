import { expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { configureProcess } from './configure-process.ts'

const database = { url: 'postgresql://localhost/hearth' }
const metrics = (port: number) => ({ port, serves: ['metrics' as const] })

test('several processes share ports, but each has its own for metrics', () => {
  const listeners = [{ port: 8008 }, metrics(9008), { port: 9100, serves: ['metrics' as const, 'client' as const] }]
  const config = defaultConfig({ database, listeners })
  const ports = (place: number) => configureProcess(config, { processes: 3, place }).listeners.map(({ port }) => port)
  expect([0, 1, 2].map(ports)).toEqual([
    [8008, 9008, 9100],
    [8008, 9009, 9100],
    [8008, 9010, 9100],
  ])
})

test.each([
  ['another listener', [{ port: 9009 }, metrics(9008)]],
  ['the ports of another listener for metrics', [metrics(9008), metrics(9006)]],
  ['no port', [metrics(65_534)]],
])('ports for metrics that are those of %s are refused', (_, listeners) => {
  const config = defaultConfig({ database, listeners })
  expect(() => configureProcess(config, { processes: 3, place: 0 })).toThrow(/needs a port for metrics/)
  expect(configureProcess(config, { processes: 1, place: 0 })).toBe(config)
})

test('the embedded database is refused, except for one process', () => {
  const config = defaultConfig()
  expect(() => configureProcess(config, { processes: 2, place: 0 })).toThrow('Set database.url')
  expect(configureProcess(config, { processes: 1, place: 0 })).toBe(config)
})
