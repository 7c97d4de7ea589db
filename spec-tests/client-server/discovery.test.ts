import { expect, inject, test } from 'vitest'
import { ask, registerUser } from '../harness/client.ts'

const { url } = inject('homeserver')
const get = (path: string) => ask(url, { method: 'GET', path })

test('versions are listed without holes', async () => {
  const { status, body } = await get('/_matrix/client/versions')
  expect(status).toBe(200)
  const minors = body.versions.flatMap((version: string) => /^v1\.(\d+)$/.exec(version)?.[1] ?? []).map(Number)
  expect(minors).toEqual(minors.map((_: number, index: number) => index + 1))
  expect(Object.values(body.unstable_features).every((value) => typeof value === 'boolean')).toBe(true)
})

test('the well-known file for clients names this server', async () => {
  const { body, headers } = await get('/.well-known/matrix/client')
  expect(URL.canParse(body['m.homeserver'].base_url)).toBe(true)
  expect(headers.get('access-control-allow-origin')).toBe('*')
})

test('the well-known file for support is there only if somebody is named', async () => {
  const { status, body } = await get('/.well-known/matrix/support')
  if (status === 200) expect(body.contacts ?? body.support_page).toBeDefined()
  else expect([status, body.errcode]).toEqual([404, 'M_NOT_FOUND'])
})

test('capabilities', async () => {
  const user = await registerUser(url)
  const { capabilities } = await user.get('/_matrix/client/v3/capabilities')
  const { default: usual, available } = capabilities['m.room_versions']
  expect(available[usual]).toBe('stable')
  expect(capabilities['m.change_password']).toEqual({ enabled: true })
  // MSC4452
  expect(capabilities['io.element.msc4452.preview_url']).toEqual({ enabled: true })
})

test('the answers of a server without bridges, TURN and e-mail', async () => {
  const user = await registerUser(url)
  expect(await user.get('/_matrix/client/v3/thirdparty/protocols')).toEqual({})
  expect((await user.ask('GET', '/_matrix/client/v3/thirdparty/protocol/irc')).status).toBe(404)
  const whose = `/_matrix/client/v3/thirdparty/user?userid=${encodeURIComponent(user.userId)}`
  expect((await user.ask('GET', whose)).status).toBe(404)
  expect((await user.ask('GET', '/_matrix/client/v3/voip/turnServer')).status).toBe(200)
  expect(await user.get('/_matrix/client/v3/account/3pid')).toEqual({ threepids: [] })
  const asked = await user.ask('POST', '/_matrix/client/v3/account/3pid/email/requestToken', {
    email: 'alice@example.org',
    client_secret: 'secret',
    send_attempt: 1,
  })
  expect([asked.status, asked.body.errcode]).toEqual([403, 'M_THREEPID_DENIED'])
})
