import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ENDPOINTS } from './endpoints.ts'
import { adminActOf } from './http/admin-act.ts'
import type { AnyEndpoint } from './http/route.ts'

/** Endpoints of these paths that need no administrator, each with the reason. */
const FOR_OTHERS: Record<string, string> = {
  'GET /_synapse/admin/v1/server_version': 'web tools ask it before their user has signed in',
  'GET /_synapse/admin/v1/register': 'the nonce of a registration, which the shared secret proves',
  'POST /_synapse/admin/v1/register': 'the shared secret proves it',
}

const endpoints = [...new Set<AnyEndpoint>(Object.values(ENDPOINTS).flat())]
const nameOf = ({ method, path }: AnyEndpoint) => `${method} ${[path].flat()[0]}`

test('every path of an admin API is for administrators', () => {
  const ofApis = endpoints.filter(({ path }) => [path].flat().some((each: string) => /^\/\w+\/admin\/v\d\//.test(each)))
  expect(ofApis.length).toBeGreaterThan(150)
  const forOthers = ofApis.filter(({ auth }) => auth !== 'admin').map(nameOf)
  expect(forOthers.toSorted()).toEqual(Object.keys(FOR_OTHERS).toSorted())
  const admitted = endpoints.filter(({ auth, guests, appservices }) => auth === 'admin' && (guests || appservices))
  expect(admitted.map(nameOf)).toEqual([])
})

test('every change by an administrator is an act for the audit log', () => {
  const changes = endpoints.filter(({ auth, method }) => auth === 'admin' && method !== 'GET')
  expect(changes.length).toBeGreaterThan(80)
  const from = { session: undefined, ip: '' }
  expect(changes.filter((endpoint) => !adminActOf(endpoint, {}, from)).map(nameOf)).toEqual([])
})

/** The ping of an application service changes nothing. */
const NO_ACTS = ['appservices.ts']

test('every act of a page is performed with its entry in the audit log', () => {
  const folder = new URL('./pages/admin/', import.meta.url)
  const acts = readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !NO_ACTS.includes(name))
    .flatMap((name) => {
      const [, ...declared] = readFileSync(new URL(name, folder), 'utf8').split(/= actPage(?:<[^>]*>)?\(\{/)
      return declared.map((text) => ({ name, text: text.slice(0, text.indexOf('\n})')) }))
    })
  expect(acts.length).toBeGreaterThan(30)
  expect(acts.filter(({ text }) => !/\bperform(Own)?Act\(/.test(text))).toEqual([])
})
