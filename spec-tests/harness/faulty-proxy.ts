import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json, text } from 'node:stream/consumers'
import { createFederationChecks } from './check-federation.ts'
import type { TestFederation } from './federation.ts'

/**
 * `down`: closes connections immediately. `error`: 500. `garbage`: a response that is not JSON. `slow`: no response
 * until the fault ends. `deaf`: the server behind gets the request, and the connection closes before its response.
 * `lost`: transactions are dropped with a success response.
 */
export type Fault = 'none' | 'down' | 'error' | 'garbage' | 'slow' | 'deaf' | 'lost'

/** An EDU as transmitted. */
export type Edu = { edu_type: string; content: Record<string, unknown> }

/** The address at which other servers reach a homeserver. */
export type FaultyProxy = {
  port: number
  /** Sets the local port to which requests are forwarded. */
  passTo(port: number): void
  /** Sets the fault of further requests, or of those whose path matches; pending ones continue. */
  setFault(fault: Fault, path?: RegExp): void
  /** Returns the number of pending requests. */
  waiting(): number
  /** Closes connections of these servers from now on, as far as they sign their requests. */
  cutOff(servers: ReadonlySet<string>): void
  /** Returns the transaction IDs that arrived, with repetitions. */
  transactions(): string[]
  /** Returns the lost EDUs. */
  lostEdus(): readonly Edu[]
}

/**
 * Starts a proxy in front of a homeserver of a test federation that makes requests of other servers fail. Checks
 * Hearth's requests and, unless Synapse is behind, its responses against the specification.
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

/** Passes on a body, if it is complete and not a file. */
function check(message: IncomingMessage, note: (body: unknown) => void): void {
  if (/^multipart|^image/.test(message.headers['content-type'] ?? '')) return
  text(message).then(
    (content) => note(content === '' ? undefined : JSON.parse(content)),
    // The connection closed early.
    () => {},
  )
}

/** Returns the server that claims to have signed a request. */
function originOf({ headers: { authorization = '' } }: IncomingMessage): string {
  return /\borigin="?([^",]+)/.exec(authorization)?.[1] ?? ''
}
