import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { renderEndpointTable } from './endpoint-table.ts'
import { ENDPOINTS } from './endpoints.ts'

const FILE = new URL('../../docs/endpoints.md', import.meta.url)

test('docs/endpoints.md is what `npm run --silent hearth list-endpoints > docs/endpoints.md` writes', async () => {
  expect(readFileSync(FILE, 'utf8')).toBe(await renderEndpointTable())
})

test('every path of every endpoint has a row in each of its parts', async () => {
  const rows = (await renderEndpointTable()).split('\n').filter((line) => /^\| [A-Z]+ \|/.test(line))
  const parts = Object.values(ENDPOINTS).map((endpoints) => new Set(endpoints))
  expect(rows).toHaveLength(parts.reduce((sum, { size }) => sum + size, 1))
  for (const endpoint of new Set(Object.values(ENDPOINTS).flat())) {
    const { method, path } = endpoint
    const paths = [path].flat().map((each: string) => `\`${each}\``)
    const mine = rows.filter((row) => row.startsWith(`| ${method} | ${paths.join('<br>')} |`))
    // Listeners may serve either part.
    expect(mine, `${method} ${paths[0]}`).toHaveLength(parts.filter((part) => part.has(endpoint)).length)
  }
})

test('a row names the file of the declaration, not of the list that mounts it', async () => {
  const lines = (await renderEndpointTable()).split('\n')
  const fileOf = (path: string) => lines.find((line) => line.includes(`${path}\``))?.match(/`(src\/api\/[^`]+)`/)?.[1]
  const declared = ['/redact/:eventId/:txnId', '/rooms/:roomId/delayed_event/:eventType/:txnId'].map((path) => {
    const file = fileOf(path)
    return readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').includes(path)
  })
  expect(declared).toEqual([true, true])
})
