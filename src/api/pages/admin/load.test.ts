import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixedClock } from '../../../infra/clock.ts'
import { createMetrics } from '../../../infra/metrics.ts'
import { createCollection } from '../../../services/figures/collect.ts'
import { finishFirstStep } from '../../../services/sign-in/sign-in-steps.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import { administratorPages } from '../../page-endpoints.ts'
import { cookieHeader } from '../cookies.ts'

const clock = fixedClock(1_700_000_040_000)
const metrics = createMetrics()

let api: Awaited<ReturnType<typeof startClientApi>>
let cookie: string
beforeAll(async () => {
  api = await startClientApi({ clock, endpoints: administratorPages })
  const { app } = api
  const { userId } = await api.client('admin', { admin: true })
  const browser = { cookie: app.random.token(40), ip: '192.0.2.1', userAgent: undefined }
  cookie = (await finishFirstStep(app, browser, { userId, by: 'password' })).cookie
})
afterAll(async () => {
  metrics.close()
  await api.close()
})

async function open(path: string) {
  const answer = await fetch(api.origin + path, {
    headers: { Cookie: cookieHeader(api.app, cookie)['Set-Cookie']!.split(';')[0]! },
  })
  return { policy: answer.headers.get('content-security-policy') ?? '', text: await answer.text() }
}

test('without figures there are no charts, and no script runs', async () => {
  const { policy, text } = await open('/admin/load')
  expect(text).toContain('There are no figures yet')
  expect(text).not.toContain('<script')
  expect(policy).not.toContain('script-src')
})

test('charts, summaries and all values', async () => {
  const route = '/<b>route</b>'
  const { store } = createCollection({ ...api.app, metrics })
  for (const count of [60, 20]) {
    for (let n = 0; n < count; n++)
      metrics.recorder.request({ route, client: 'Element X', peer: undefined, seconds: 0.02, received: 2048, sent: 0 })
    clock.advance(10_000)
    await store()
    clock.advance(50_000)
  }
  const { policy, text } = await open('/admin/load?range=hour')
  const nonce = /script-src 'nonce-(\w{22})';/.exec(policy)?.[1]
  expect(text.match(/<script nonce="(\w+)" src="\/assets\/\w+\/(uplot|charts)\.js">/g)).toHaveLength(2)
  expect(text).toContain(`nonce="${nonce}"`)
  expect((await open('/admin/load')).policy).not.toContain(nonce)
  const requests = /<h2 id="chart-requests">[\s\S]*?<\/section>/.exec(text)![0]
  const cells = [...requests.matchAll(/<td[^>]*>([^<]*)</g)].map(([, cell]) => cell)
  expect(cells).toEqual(['0.333/s', '0.667/s', '1/s'])
  const data = JSON.parse(/data-chart="([^"]*)"/.exec(requests)![1]!.replace(/&#34;/g, '"'))
  expect(data).toMatchObject({ step: 60_000, unit: 'per_second' })
  expect(data.lines[0].values.filter((value: number | null) => value !== null)).toEqual([1, 0.3333])

  const values = await open('/admin/load/bandwidth?view=load&range=hour')
  expect(values.text).toContain('2 KiB/s')
  expect(values.text).not.toContain('<script')

  const routes = (await open('/admin/load?view=routes')).text
  expect(routes).toContain('/&#60;b&#62;route&#60;/b&#62;')
  expect(routes).not.toContain('<b>')
  expect((await open('/admin/load?view=processes')).text).toMatch(/chart-cpu[\s\S]*:\d+</)
})
