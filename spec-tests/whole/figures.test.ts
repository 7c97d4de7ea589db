import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { type Hearths, startHearths } from '../harness/several-hearths.ts'

const GRAFANA = join(import.meta.dirname, '..', '..', 'docs', 'grafana')
const RULES = join(GRAFANA, 'alerts.yaml')
const ROUTE = '/_matrix/client/v3/capabilities'
const REQUESTS = 30

type Series = { name: string; process: number | null; key: string | null; values: (number | null)[] }
type Figures = { times: number[]; step: number; processes: { process: number; is_alive: boolean }[]; series: Series[] }

let server: Hearths
let admin: TestUser
beforeAll(async () => {
  server = await startHearths(3, {})
  admin = await registerAdmin(server.url)
  const user = await registerUser(server.url)
  for (let n = 0; n < REQUESTS; n++) await user.get(ROUTE)
  await pollUntil('all processes have stored what they did', async () => (await requestsOf(ROUTE)) === REQUESTS)
})
afterAll(() => server?.dispose())

function figures(query: string): Promise<Figures> {
  return admin.get(`/_hearth/admin/v1/figures?step=10&${query}`)
}

/** How many requests there were to a route, in all processes or in one. */
async function requestsOf(route: string, process?: number): Promise<number> {
  const { series } = await figures(`of=routes&top=24${process === undefined ? '' : `&process=${process}`}`)
  return totalOf(series.find(({ name, key }) => name === 'requests' && key === route))
}

function totalOf(series: Series | undefined): number {
  return Math.round((series?.values ?? []).reduce<number>((sum, value) => sum + (value ?? 0) * 10, 0))
}

test('the sum over three processes is that of its parts', async () => {
  const parts = await Promise.all([1, 2, 3].map((process) => requestsOf(ROUTE, process)))
  expect(Math.min(...parts)).toBeGreaterThan(0)
  expect(parts.reduce((sum, part) => sum + part)).toBe(REQUESTS)
  const { series, processes, times } = await figures('each_process=true')
  expect(processes.filter(({ is_alive }) => is_alive).map(({ process }) => process)).toEqual([1, 2, 3])
  for (const name of ['requests', 'bytes_received', 'bytes_sent', 'statements', 'cpu', 'memory_bytes', 'pool_used']) {
    const lines = series.filter((line) => line.name === name)
    expect(lines.map(({ process }) => process)).toEqual([null, 1, 2, 3])
    const [sum, ...rest] = lines.map(({ values }) => values)
    for (const place of times.keys()) {
      const expected = rest.reduce((total, values) => total + (values[place] ?? 0), 0)
      expect(sum![place] ?? 0, `${name} in step ${place}`).toBeCloseTo(expected, 3)
    }
  }
})

test('bytes and clients are those of the requests', async () => {
  const { series } = await figures('of=clients')
  const clients = series.filter(({ name }) => name === 'requests')
  expect(clients.reduce((sum, line) => sum + totalOf(line), 0)).toBeGreaterThan(REQUESTS)
  const routes = (await figures('of=routes&top=24')).series.filter(({ key }) => key === ROUTE)
  for (const name of ['bytes_received', 'bytes_sent'])
    expect(totalOf(routes.find((line) => line.name === name)) / REQUESTS).toBeGreaterThan(100)
})

test('only administrators see figures, alerts and statistics', async () => {
  const user = await registerUser(server.url)
  for (const path of ['figures', 'alerts', 'statistics']) {
    const at = `/_hearth/admin/v1/${path}`
    expect(await admin.get(at)).toBeTruthy()
    expect((await user.ask('GET', at)).status).toBe(403)
  }
})

test('Prometheus accepts the alert rules', () => {
  expect(execFileSync(promtool(), ['check', 'rules', RULES], { encoding: 'utf8' })).toContain('SUCCESS')
})

test('each metric in the dashboard and the rules is in /metrics', async () => {
  const text = await (await fetch(`${server.hearths[0]!.url}/metrics`)).text()
  const names = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) => namesOf(name, type)),
  )
  const dashboard = JSON.parse(readFileSync(join(GRAFANA, 'dashboard.json'), 'utf8'))
  const rules = parse(readFileSync(RULES, 'utf8'))
  const used = [
    ...expressionsOf(dashboard.panels.flatMap((panel: { targets?: object[] }) => panel.targets ?? [])),
    ...expressionsOf(rules.groups.flatMap((group: { rules: object[] }) => group.rules)),
    ...dashboard.templating.list.map(({ query }: { query: string }) => query),
  ].flatMap((text) => text.match(/\b(hearth|process)_\w+/g) ?? [])
  expect(new Set(used).size).toBeGreaterThan(30)
  expect(used.filter((name) => !names.has(name))).toEqual([])
})

function expressionsOf(all: readonly { expr?: string }[]): string[] {
  return all.flatMap(({ expr }) => expr ?? [])
}

function namesOf(name: string, type: string | undefined): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

function promtool(): string {
  const places = [
    process.env.PROMTOOL,
    '/usr/bin/promtool',
    join(homedir(), '.cache', 'hearth', 'promtool', 'promtool'),
  ]
  const found = places.find((place) => place !== undefined && existsSync(place))
  if (found === undefined) throw new Error('The tests need promtool: bash spec-tests/setup/install.sh')
  return found
}
