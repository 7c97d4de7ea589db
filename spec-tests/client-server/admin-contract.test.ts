import { beforeAll, describe, expect, inject, test } from 'vitest'
import { MAS_ROWS } from '../harness/admin-contract/mas-rows.ts'
import { MEDIA_ROWS } from '../harness/admin-contract/media-rows.ts'
import { ROOM_ROWS } from '../harness/admin-contract/room-rows.ts'
import { INVALID, NOT_FOUND, type Refusal, type Row, type Rows } from '../harness/admin-contract/row.ts'
import { SERVER_ROWS } from '../harness/admin-contract/server-rows.ts'
import { requireShape } from '../harness/admin-contract/shape.ts'
import { USER_ROWS } from '../harness/admin-contract/user-rows.ts'
import { type ContractWorld, createContractWorld } from '../harness/admin-contract/world.ts'
import { listEndpoints } from '../harness/admin-endpoints.ts'

/**
 * Holds each method and path of the admin API of Synapse, and of that of the Matrix Authentication Service, to its
 * request, the fields of its answer, its errors, and its entry in the audit log. Against Synapse, the same rows show
 * where Hearth differs.
 */
const { url, sharedSecret } = inject('homeserver')
const ROWS: Rows = { ...ROOM_ROWS, ...MEDIA_ROWS, ...SERVER_ROWS, ...USER_ROWS, ...MAS_ROWS }
/** Method and path pairs of Synapse 1.163, with the second paths that some of its endpoints have. */
const SYNAPSE_PAIRS = 103

let world: ContractWorld
beforeAll(async () => {
  world = await createContractWorld(url, sharedSecret)
})

const pathOf = (path: string) =>
  path.startsWith('mas/') ? path.replace('mas/', '/api/admin/v1/') : `/_synapse/admin/${path}`
const nameOf = (method: string, path: string) => `${method} ${path.replace(/\{\w+\}|:\w+/g, '{}')}`

const LISTED = listEndpoints().filter(({ paths }) => /^\/(_synapse\/admin|api\/admin\/v1)\//.test(paths[0]!))
/** Endpoints that change something; of the links of upstream providers there is none here. */
const ACTS = LISTED.filter(({ method, paths }) => method !== 'GET' && !paths[0]!.includes('/upstream-oauth-links'))

describe('the rows', () => {
  test('are the endpoints of these interfaces, without exception', () => {
    const listed = LISTED.flatMap(({ method, paths }) => paths.map((path) => nameOf(method, path)))
    const rows = Object.keys(ROWS).map((pair) => {
      const [method, path] = pair.split(' ') as [string, string]
      return nameOf(method, pathOf(path.replace('email/users', '{medium}/users').replace(/CONTRACT$/, '{device}')))
    })
    expect(rows.sort()).toEqual(listed.sort())
    expect(rows.filter((row) => row.includes(' /_synapse/'))).toHaveLength(SYNAPSE_PAIRS)
  })
})

test('an unknown path is M_UNRECOGNIZED, and pages of other origins may ask', async () => {
  const { status, body } = await world.admin.ask('GET', pathOf('v1/nothing'))
  expect([status, body.errcode]).toEqual([404, 'M_UNRECOGNIZED'])
  const answer = await fetch(url + pathOf('v2/users'), { headers: { Origin: 'https://tools.example.org' } })
  expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([401, '*'])
})

/** Puts the objects of the world into a value. */
function filled<Value>(value: Value): Value {
  const text = JSON.stringify(value) ?? 'null'
  return JSON.parse(text.replace(/\{(\w+)\}/g, (whole, name) => world.values[name] ?? whole))
}

/** As `filled`, for a path with a query. */
function urlOf(path: string): string {
  return pathOf(path.replace(/\{(\w+)\}/g, (_whole, name) => encodeURIComponent(world.values[name]!)))
}

test.each(Object.entries(ROWS))('%s', async (pair, row) => {
  const [method, path] = pair.split(' ') as [string, string]
  const { admin, isHearth } = world
  if (!isHearth && (path.startsWith('mas/') || row.synapse?.skipped)) return
  const body = filled(row.body ?? (method === 'GET' || method === 'DELETE' ? undefined : {})) ?? undefined
  const sent = await admin.ask(method, urlOf(withQuery(path, row)), body)
  const expected = row.status ?? 200
  expect([sent.status, sent.status === expected || sent.body]).toEqual([expected, true])
  if (row.answer !== undefined) requireShape(sent.body, filled(row.answer), { path: 'the answer', isHearth })
  for (const refusal of refusalsOf(path, row)) {
    const asked = urlOf(refusal.path ?? withQuery(path, row))
    const answer = await admin.ask(method, asked, refusal.body === undefined ? body : filled(refusal.body))
    // The error code of Hearth is exact. Synapse has M_UNKNOWN for most.
    const code = isHearth ? (answer.body.errcode ?? '') : refusal.errcode
    const request = [method, asked, refusal.body]
    expect([...request, answer.status, code]).toEqual([...request, refusal.status, refusal.errcode])
  }
})

test('each act is in the audit log', async () => {
  if (!world.isHearth) return
  const { admin } = world
  const log = '/_hearth/admin/v1/audit_log?limit=1000&actor='
  const [own, bySecret] = await Promise.all(
    [admin.userId, 'shared secret'].map((actor) => admin.get(log + encodeURIComponent(actor))),
  )
  const done = [...own.entries, ...bySecret.entries].map(({ action }: { action: string }) => {
    const [method, path] = action.split(' ') as [string, string]
    return nameOf(method, path)
  })
  const acts = ACTS.map(({ method, paths }) => nameOf(method, paths[0]!))
  expect(acts.filter((act) => !done.includes(act))).toEqual([])
})

function withQuery(path: string, { query }: Row): string {
  return query === undefined ? path : `${path}?${query}`
}

/** The refusals of a row, and those that hold for all: users of other servers, unknown users, and unknown rooms. */
function refusalsOf(path: string, row: Row): Refusal[] {
  const { remote = 400, unknown = 404 } = { ...row, ...(world.isHearth ? {} : row.synapse) }
  const instead = (name: string, other: string, status: number | null): Refusal[] => {
    if (!path.includes(name) || status === null) return []
    const errcode = status === 404 ? NOT_FOUND : status === 400 ? (row.remoteCode ?? INVALID) : ''
    return [{ path: withQuery(path.replace(name, other), row), status, errcode }]
  }
  return [
    ...(world.isHearth || row.synapse?.refusals === undefined ? (row.refused ?? []) : []),
    ...instead('{user}', '{remote}', remote),
    ...instead('{user}', '{nobody}', unknown),
    ...instead('{room}', '!none:example.org', unknown),
  ]
}
