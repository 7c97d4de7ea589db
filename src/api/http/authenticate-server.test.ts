import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import type { App } from '../../app.ts'
import type { WantedKey } from '../../infra/federation/key-fetcher.ts'
import { receiveSigned } from './authenticate-server.ts'

/** Returns the asker for whom the key of a request's server is fetched. */
async function askedFor(ip: string, origin: string): Promise<string | undefined> {
  const asked: WantedKey[] = []
  const find = async (wanted: readonly WantedKey[]) => {
    asked.push(...wanted)
    return wanted.map(() => undefined)
  }
  const config = { federation: { servers: { allow: [], deny: [] } } }
  const app = { serverName: 'us', config, clock: { now: () => 0 }, keyRing: { find } } as unknown as App
  const header = `X-Matrix origin=${origin},destination=us,key="ed25519:a",sig="c2ln"`
  const request = { headersDistinct: { authorization: [header] } } as unknown as IncomingMessage
  await expect(receiveSigned(app, request, ip)).rejects.toMatchObject({ errcode: 'M_UNAUTHORIZED' })
  return asked[0]?.usedFrom
}

test('whose keys are not known waits with its network, or alone where a proxy hides that', async () => {
  expect(await askedFor('8.8.8.8', 'one')).toBe(await askedFor('8.8.8.8', 'two'))
  expect(await askedFor('8.8.8.8', 'one')).not.toBe(await askedFor('8.8.4.4', 'one'))
  for (const proxy of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '172.17.0.1']) {
    expect(await askedFor(proxy, 'one')).not.toBe(await askedFor(proxy, 'two'))
    expect(await askedFor(proxy, 'one')).toBe(await askedFor(proxy, 'one'))
  }
})
