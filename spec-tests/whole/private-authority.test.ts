import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { createTestAuthority } from '../../testing/test-authority.ts'
import { ask, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { createRoom, joinRoom, v3 } from '../harness/rooms.ts'

/**
 * Programs with certificates of a private authority, which only one of two Hearths trusts by
 * federation.trusted_certificates.
 */
const authority = createTestAuthority()
const tls = authority.issue('localhost')
const certificate = { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }
const folder = mkdtempSync(join(tmpdir(), 'hearth-authority-'))

/** Requested paths, with the bodies. */
const asked: string[] = []
const server = createServer(certificate, async (request, response) => {
  asked.push(`${request.url} ${await text(request)}`)
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"rejected":[]}')
})
/** Recipients of mails. */
const mailed: string[] = []
const mails = new SMTPServer({
  ...certificate,
  secure: true,
  authOptional: true,
  onData(stream, { envelope }, done) {
    mailed.push(...envelope.rcptTo.map(({ address }) => address))
    stream.on('end', done).resume()
  },
}).on('error', () => {})

let trusting: TestHearth
let doubting: TestHearth
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  await new Promise<void>((resolve) => void mails.listen(0, 'localhost', resolve))
  ;[trusting, doubting] = await Promise.all([start('trusting', [authority.certificate]), start('doubting', [])])
})
afterAll(async () => {
  await Promise.all([trusting?.dispose(), doubting?.dispose()])
  server.close()
  server.closeAllConnections()
  await new Promise<void>((resolve) => mails.close(resolve))
  authority.dispose()
  rmSync(folder, { recursive: true })
})

const portOf = (address: unknown) => (address as AddressInfo).port
const base = () => `https://localhost:${portOf(server.address())}`

function start(name: string, trusted_certificates: string[]): Promise<TestHearth> {
  const appservice = join(folder, `${name}.yaml`)
  const namespaces = { users: [{ exclusive: false, regex: '@.*' }], aliases: [], rooms: [] }
  const tokens = { as_token: `as-${name}`, hs_token: `hs-${name}` }
  const registration = { id: name, url: `${base()}/${name}`, sender_localpart: name, ...tokens, namespaces }
  writeFileSync(appservice, JSON.stringify(registration))
  return startHearth({
    config: {
      federation: { trusted_certificates, allow_private_addresses: true },
      appservices: [appservice],
      email: { smtp_url: `smtps://localhost:${portOf(mails.server.address())}`, from: `${name}@hearth.test` },
    },
  })
}

/** Makes a Hearth connect to all of these programs. */
async function beConnected(hearth: TestHearth, name: string): Promise<TestUser> {
  const [alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  const url = `${base()}/_matrix/push/v1/notify`
  const app = { app_id: 'app', pushkey: name, app_display_name: 'App', device_display_name: 'Phone', lang: 'en' }
  await bob.post(`${v3}/pushers/set`, { ...app, kind: 'http', data: { url } })
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  await sendText(alice, roomId, `a message with ${name}`)
  const mail = { client_secret: 'secret', email: `${name}@example.org`, send_attempt: 1 }
  await alice.ask('POST', `${v3}/account/3pid/email/requestToken`, mail)
  return alice
}

describe('programs with a certificate of a private authority', () => {
  test.each([
    [
      'a push gateway',
      () => asked.some((line) => line.startsWith('/_matrix/push/v1/notify') && line.includes('"trusting"')),
    ],
    ['an application service', () => asked.some((line) => line.startsWith('/trusting/_matrix/app/v1/transactions'))],
    ['a mail server', () => mailed.includes('trusting@example.org')],
  ])('%s is reached where the authority is trusted', async (what, isReached) => {
    await beConnected(trusting, 'trusting')
    await pollUntil(`${what} is reached`, isReached)
  })

  test('an identity server is reached where the authority is trusted', async () => {
    const invite = { medium: 'email', address: 'x@example.org', id_access_token: 'token', id_server: base().slice(8) }
    const answers: number[] = []
    for (const hearth of [trusting, doubting]) {
      const user = await registerUser(hearth.url)
      const roomId = await createRoom(user)
      const path = `${v3}/rooms/${encodeURIComponent(roomId)}/invite`
      const { status } = await ask(hearth.url, { method: 'POST', path, body: invite, token: user.accessToken })
      answers.push(status)
      if (hearth === trusting) expect(asked.some((line) => line.startsWith('/_matrix/identity/v2/'))).toBe(true)
    }
    expect(answers[1]).toBe(502)
  })

  test('none is reached where it is not', async () => {
    const connections = countHandshakes()
    await beConnected(doubting, 'doubting')
    await pollUntil(
      'the connections of push and of the application service end in the handshake',
      () => connections.refused() >= 2,
    )
    expect(asked.join()).not.toContain('doubting')
    expect(mailed).not.toContain('doubting@example.org')
  })
})

/** Counts handshakes that the client aborts. */
function countHandshakes(): { refused(): number } {
  let refused = 0
  server.on('tlsClientError', () => refused++)
  return { refused: () => refused }
}
