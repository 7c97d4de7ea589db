import { expect, test } from 'vitest'
import type { ServerName } from '../../core/ids.ts'
import { findServer, parseDelegation } from './server-discovery.ts'
import { createSrvLookUp, type SrvRecord } from './srv-records.ts'

type World = { delegation?: string; records?: Record<string, { name: string; port: number }> }

const find = (serverName: string, { delegation, records = {} }: World = {}) =>
  findServer(
    {
      delegationOf: async (hostname) => (hostname === serverName ? (delegation as ServerName) : undefined),
      srvAddresses: createSrvLookUp(async (name) => {
        const record = records[name]
        if (!record) throw new Error('ENOTFOUND')
        return [{ ...record, priority: 1, weight: 1 }]
      }),
    },
    serverName as ServerName,
  )

/** https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names, by its step numbers. */
test.each<[string, string, World, [host: string, port: number], string, string]>([
  ['1', '1.2.3.4', { delegation: 'other' }, ['1.2.3.4', 8448], '1.2.3.4', '1.2.3.4'],
  ['1 with port', '1.2.3.4:1', {}, ['1.2.3.4', 1], '1.2.3.4:1', '1.2.3.4'],
  ['1 IPv6', '[2001::1]', {}, ['2001::1', 8448], '[2001::1]', '2001::1'],
  ['1 IPv6 with port', '[2001::1]:1', {}, ['2001::1', 1], '[2001::1]:1', '2001::1'],
  ['2', 'a.example:443', { delegation: 'other' }, ['a.example', 443], 'a.example:443', 'a.example'],
  ['3.1', 'a.example', { delegation: '1.2.3.4' }, ['1.2.3.4', 8448], '1.2.3.4', '1.2.3.4'],
  ['3.1 with port', 'a.example', { delegation: '[2001::1]:1' }, ['2001::1', 1], '[2001::1]:1', '2001::1'],
  ['3.2', 'a.example', { delegation: 'm.example:443' }, ['m.example', 443], 'm.example:443', 'm.example'],
  [
    '3.3',
    'a.example',
    {
      delegation: 'm.example',
      records: {
        '_matrix-fed._tcp.m.example': { name: 'new.example', port: 1 },
        '_matrix._tcp.m.example': { name: 'old.example', port: 2 },
      },
    },
    ['new.example', 1],
    'm.example',
    'm.example',
  ],
  [
    '3.4',
    'a.example',
    { delegation: 'm.example', records: { '_matrix._tcp.m.example': { name: 'old.example', port: 2 } } },
    ['old.example', 2],
    'm.example',
    'm.example',
  ],
  ['3.5', 'a.example', { delegation: 'm.example' }, ['m.example', 8448], 'm.example', 'm.example'],
  [
    '4',
    'a.example',
    { records: { '_matrix-fed._tcp.a.example': { name: 'new.example', port: 1 } } },
    ['new.example', 1],
    'a.example',
    'a.example',
  ],
  [
    '4 before 5',
    'a.example',
    {
      records: {
        '_matrix-fed._tcp.a.example': { name: 'new.example', port: 1 },
        '_matrix._tcp.a.example': { name: 'old.example', port: 2 },
      },
    },
    ['new.example', 1],
    'a.example',
    'a.example',
  ],
  [
    '5',
    'a.example',
    { records: { '_matrix._tcp.a.example': { name: 'old.example', port: 2 } } },
    ['old.example', 2],
    'a.example',
    'a.example',
  ],
  ['6', 'a.example', {}, ['a.example', 8448], 'a.example', 'a.example'],
])('step %s: %s', async (_, serverName, world, [host, port], hostHeader, certificateName) => {
  expect(await find(serverName, world)).toEqual({ hostHeader, certificateName, addresses: [{ host, port }] })
})

test.each([
  [{ 'm.server': 'm.example:443' }, 'm.example:443'],
  [{ 'm.server': '[::1]' }, '[::1]'],
  [{ 'm.server': 'https://m.example' }, undefined],
  [{ 'm.server': '' }, undefined],
  [{ 'm.server': 5 }, undefined],
  [{}, undefined],
  [null, undefined],
  ['m.example', undefined],
])('a .well-known of %j delegates to %s', (answer, delegated) => expect(parseDelegation(answer)).toBe(delegated))

test('records are tried by priority, within one by weight, and . says that there is no service', async () => {
  const lookUp = (records: SrvRecord[]) => createSrvLookUp(async () => records)('_matrix-fed._tcp', 'a.example')
  const record = (name: string, priority: number, weight: number) => ({ name, port: 1, priority, weight })
  const counts: Record<string, number> = {}
  for (let round = 0; round < 300; round++) {
    const found = await lookUp([record('last', 20, 100), record('heavy', 10, 90), record('light', 10, 10)])
    expect(found?.at(-1)?.host).toBe('last')
    const first = found![0]!.host
    counts[first] = (counts[first] ?? 0) + 1
  }
  expect(counts.heavy).toBeGreaterThan(counts.light!)
  expect(counts.light).toBeGreaterThan(0)
  expect(await lookUp([record('.', 0, 0)])).toEqual([])
  expect(await lookUp([])).toBeUndefined()
})

test('records, and that there are none, are remembered for a while', async () => {
  let asked = 0
  const lookUp = createSrvLookUp(async (name) => {
    asked++
    if (name.endsWith('.none.example')) throw new Error('ENOTFOUND')
    return [{ name: 'host.example', port: 1, priority: 1, weight: 1 }]
  })
  for (let time = 0; time < 3; time++) {
    expect(await lookUp('_matrix-fed._tcp', 'a.example')).toEqual([{ host: 'host.example', port: 1 }])
    expect(await lookUp('_matrix-fed._tcp', 'none.example')).toBeUndefined()
  }
  expect(asked).toBe(2)
})
