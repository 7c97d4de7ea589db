import { generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { redact } from '../../testing/matrix/redact.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { signableJson } from '../../testing/matrix/signing.ts'
import { createFederationChecks } from './check-federation.ts'
import type { TestFederation } from './federation.ts'

/**
 * `away`: closes connections immediately. `forging`: signs with a key other than the published one. `of before`:
 * supports only the draft's path.
 */
type Mode = 'checking' | 'away' | 'forging' | 'of before'

const PATH = '/_matrix/policy/v1/sign'
const DRAFT_PATH = '/_matrix/policy/unstable/org.matrix.msc4284/sign'

/**
 * A policy server: it signs all events except those with the word spam. Other requests go to a homeserver behind it.
 */
export type TestPolicyServer = {
  port: number
  /** For `m.room.policy`. */
  publicKey: string
  /** The events that it was asked to sign, in order. */
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  asked: any[]
  setMode(mode: Mode): void
  /** Sets the local port to which other requests are forwarded. */
  passTo(port: number): void
}

/** Starts it as `localhost:PORT`. It assumes one version for all rooms. */
export async function startPolicyServer(federation: TestFederation, roomVersion: string): Promise<TestPolicyServer> {
  const tls = federation.authority.issue('localhost')
  const ca = readFileSync(federation.authority.certificate)
  const keys = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')] as const
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  const asked: any[] = []
  let mode: Mode = 'checking'
  let target = 0
  const checks = createFederationChecks(() => roomVersion)

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.url !== (mode === 'of before' ? DRAFT_PATH : PATH)) return pass(incoming, outgoing)
    // biome-ignore lint/suspicious/noExplicitAny: events of every shape
    const event = (await json(incoming)) as any
    asked.push(event)
    if (incoming.url === PATH) checks.noteRequest({ method: incoming.method!, path: PATH, body: event })
    if (mode === 'away') return void outgoing.destroy()
    const isSpam = JSON.stringify(event.content).includes('spam')
    outgoing.writeHead(isSpam ? 400 : 200, { 'content-type': 'application/json' })
    if (isSpam) return void outgoing.end(JSON.stringify({ errcode: 'M_FORBIDDEN', error: 'This looks like spam' }))
    const text = signableJson(redact(ROOM_VERSIONS.get(roomVersion)!, event))
    const signature = sign(null, Buffer.from(text), keys[mode === 'forging' ? 1 : 0].privateKey)
    const ofKey = { 'ed25519:policy_server': signature.toString('base64').replace(/=+$/, '') }
    outgoing.end(JSON.stringify({ [serverName]: ofKey }))
  }

  function pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming
    const onward = request({ host: 'localhost', port: target, ca, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }

  const credentials = { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }
  const server = createServer(credentials, (incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const { port } = server.address() as AddressInfo
  const serverName = `localhost:${port}`
  federation.onDispose(() => {
    server.closeAllConnections()
    server.close()
    checks.end()
  })
  return {
    port,
    publicKey: keys[0].publicKey.export({ format: 'jwk' }).x!,
    asked,
    setMode: (next) => {
      mode = next
    },
    passTo: (next) => {
      target = next
    },
  }
}
