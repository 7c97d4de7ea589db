import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../../testing/free-port.ts'
import { defaultConfig } from '../../config.ts'
import { checkSpamService } from './spam-checks.ts'

const server = createServer(({ url, headers }, response) => {
  if (url !== '/checks/ping') response.writeHead(500)
  else response.writeHead(headers.authorization === 'Bearer right' ? 200 : 401)
  response.end('{}')
})
let base = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => void server.close())

const check = (url: string | undefined, token = 'right') => {
  const config = defaultConfig()
  return checkSpamService({ ...config, spam_checks: { ...config.spam_checks, url, token } })
}

test('the service for spam checks is pinged with the token', async () => {
  expect(await check(undefined)).toEqual([])
  expect(await check(`${base}/checks`)).toMatchObject([{ level: 'good' }])
  expect(await check(`${base}/checks`, 'wrong')).toMatchObject([
    { level: 'problem', what: expect.stringContaining('does not accept the token') },
  ])
  expect(await check(`${base}/other`)).toMatchObject([{ level: 'problem', what: expect.stringContaining('500') }])
  expect(await check(`http://127.0.0.1:${await freePort()}`)).toMatchObject([
    { level: 'problem', what: expect.stringContaining('does not answer') },
  ])
})
