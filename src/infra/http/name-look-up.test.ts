import type { LookupAddress } from 'node:dns'
import { expect, test } from 'vitest'
import { createNameLookUp, lookUpFor, type NameSources } from './name-look-up.ts'

const PUBLIC = { address: '1.1.1.1', family: 4 }
const PRIVATE = { address: '10.0.0.1', family: 4 }
const PUBLIC6 = { address: '2606:4700:4700::1111', family: 6 }

const sources = (more: Partial<NameSources> = {}): NameSources => ({
  hosts: async () => '',
  dns: async () => [],
  system: async () => Promise.reject(new Error('unknown')),
  ...more,
})

test('the file of hosts comes before DNS, and DNS before what else the system knows', async () => {
  const hosts = async () => '# a comment\n10.0.0.1 other Example.org # home\n::1 example.org\r\nnothing example.org\n'
  const dns = async () => [PUBLIC]
  const system = async () => [PUBLIC6]
  expect(await createNameLookUp(sources({ hosts, dns, system }))('example.ORG')).toEqual([
    PRIVATE,
    { address: '::1', family: 6 },
  ])
  expect(await createNameLookUp(sources({ hosts, dns, system }))('ample.org')).toEqual([PUBLIC])
  expect(await createNameLookUp(sources({ hosts, system }))('ample.org')).toEqual([PUBLIC6])
  await expect(createNameLookUp(sources({ hosts }))('ample.org')).rejects.toThrow('unknown')
})

test('names that keep the system waiting keep nobody waiting whom DNS knows', async () => {
  const waiting: string[] = []
  const lookUp = createNameLookUp(
    sources({
      dns: async (name) => (name === 'known' ? [PUBLIC] : []),
      system: (name) => {
        waiting.push(name)
        return new Promise(() => {})
      },
    }),
  )
  for (let i = 0; i < 100; i++) lookUp(`tarpit-${i}`)
  expect(await lookUp('known')).toEqual([PUBLIC])
  expect(waiting.length).toBe(4)
})

function found(addresses: LookupAddress[], options: object, allowPrivateAddresses = false) {
  const lookUp = lookUpFor(async () => addresses, allowPrivateAddresses)
  return new Promise((resolve) =>
    lookUp('example.org', options, (error, address, family) => resolve(error?.message ?? [address, family])),
  )
}

test('connections get the addresses that they may have', async () => {
  expect(await found([PRIVATE, PUBLIC, PUBLIC6], { all: true })).toEqual([[PUBLIC, PUBLIC6], undefined])
  expect(await found([PRIVATE, PUBLIC, PUBLIC6], {})).toEqual(['1.1.1.1', 4])
  expect(await found([PUBLIC, PUBLIC6], { family: 6 })).toEqual([PUBLIC6.address, 6])
  expect(await found([PRIVATE], { all: true })).toBe('example.org has no public address')
  expect(await found([PRIVATE], { all: true }, true)).toEqual([[PRIVATE], undefined])
})
