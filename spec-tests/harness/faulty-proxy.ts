import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json, text } from 'node:stream/consumers'
import { createFederationChecks } from './check-federation.ts'
import type { TestFederation } from './federation.ts'

/**
 * `down`: connections end at once. `error`: 500. `garbage`: an answer that is no JSON. `slow`: nothing is answered until the fault ends. `deaf`: the
 * server behind gets the request, and the connection ends before its answer. `lost`: transactions are answered as if
 * they had been taken.
 */
export type Fault = 'none' | 'down' | 'error' | 'garbage' | 'slow' | 'deaf' | 'lost'

/** An EDU as it goes over the wire. */
export type Edu = { edu_type: string; content: Record<string, unknown> }

/** Where other servers think that a homeserver is. */
export type FaultyProxy = {
  port: number
  /** Where to pass requests on to: a port of localhost. */
  passTo(port: number): void
  /** What happens to requests from now on, or to those whose path matches; those that wait go on. */
  setFault(fault: Fault, path?: RegExp): void
  /** How many requests wait. */
  waiting(): number
  /** From now on connections of these servers end at once, as far as they sign their requests. */
  cutOff(servers: ReadonlySet<string>): void
  /** Transactions that came, by id, as often as they came. */
  transactions(): string[]
  /** EDUs that were lost. */
  lostEdus(): readonly Edu[]
}

/**
 * Stands before a homeserver of a test federation and lets requests of other servers fail. What Hearth sends and,
 * unless Synapse is behind, what it answers is held against the specification.
 */
export async function startFaultyProxy(
  federation: Pick<TestFederation, 'authority' | 'onDispose'>,
  { isBeforeSynapse = false } = {},
): Promise<FaultyProxy> {
  const tls = federation.authority.issue('localhost')
  const ca = readFileSync(federation.authority.certificate)
  const transactions: string[] = []
  const lost: Edu[] = []
  let waiting: (() => void)[] = []
  let set: { fault: Fault; path: RegExp } = { fault: 'none', path: /^/ }
  let cut: ReadonlySet<string> = new Set()
  let target = 0
  const checks = createFederationChecks()

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const [, txnId] = /^\/_matrix\/federation\/v1\/send\/([^/?]+)/.exec(incoming.url ?? '') ?? []
    if (txnId !== undefined) transactions.push(txnId)
    if (cut.has(originOf(incoming))) return void outgoing.destroy()
    const fault = set.path.test(incoming.url ?? '') ? set.fault : 'none'
    if (fault === 'slow') await new Promise<void>((resolve) => waiting.push(resolve))
    if (fault === 'down') return void outgoing.destroy()
    if (fault === 'error') return void outgoing.writeHead(500).end('{}')
    if (fault === 'garbage') return void outgoing.writeHead(200).end('<html>')
    if (fault === 'lost' && txnId !== undefined) {
      const { edus = [] } = (await json(incoming)) as { edus?: Edu[] }
      lost.push(...edus)
      return void outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"pdus":{}}')
    }
    pass(incoming, outgoing, fault === 'deaf')
  }

  function pass(incoming: IncomingMessage, outgoing: ServerResponse, isDeaf: boolean): void {
    const { method, url: path, headers } = incoming
    const onward = request({ host: 'localhost', port: target, ca, method, path, headers }, (answer) => {
      if (isDeaf) {
        answer.resume().on('end', () => outgoing.destroy())
        return
      }
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
      if (!isBeforeSynapse) check(answer, (body) => checks.noteAnswer(asked, { status: answer.statusCode!, body }))
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
    const asked = { method: method!, path: path! }
    if (headers['user-agent'] === 'Hearth') check(incoming, (body) => checks.noteRequest({ ...asked, body }))
  }

  const server = createServer(
    { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) },
    (incoming, outgoing) => {
      handle(incoming, outgoing).catch(() => outgoing.destroy())
    },
  )
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  federation.onDispose(() => {
    server.closeAllConnections()
    server.close()
    checks.end()
  })
  return {
    port: (server.address() as AddressInfo).port,
    passTo: (port) => {
      target = port
    },
    setFault(fault, path = /^/) {
      set = { fault, path }
      for (const go of waiting.splice(0)) go()
      waiting = []
    },
    cutOff(servers) {
      cut = servers
    },
    transactions: () => transactions,
    lostEdus: () => lost,
    waiting: () => waiting.length,
  }
}

/** Hands over what comes, if it is all there and no file. */
function check(message: IncomingMessage, note: (body: unknown) => void): void {
  if (/^multipart|^image/.test(message.headers['content-type'] ?? '')) return
  text(message).then(
    (content) => note(content === '' ? undefined : JSON.parse(content)),
    // The connection has ended early.
    () => {},
  )
}

/** The server that says that it has signed a request. */
function originOf({ headers: { authorization = '' } }: IncomingMessage): string {
  return /\borigin="?([^",]+)/.exec(authorization)?.[1] ?? ''
}
