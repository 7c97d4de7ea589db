import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { type Answer, ask } from './client.ts'

/** A request of a homeserver to an application service. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
export type AppserviceCall = { method: string; path: string; query: URLSearchParams; token: string; body: any }

/** An application service: a program of its own for the homeserver, with a registration file. */
export type TestAppservice = {
  id: string
  url: string
  registrationFile: string
  asToken: string
  hsToken: string
  /** All requests, also refused ones. */
  calls: AppserviceCall[]
  /** Accepted transactions, each once, by ID. */
  // biome-ignore lint/suspicious/noExplicitAny: see AppserviceCall
  transactions: Map<string, any>
  /** All accepted events, in order. */
  // biome-ignore lint/suspicious/noExplicitAny: see AppserviceCall
  events(): any[]
  /** Returns the values of a key of its transactions, such as `ephemeral`. */
  // biome-ignore lint/suspicious/noExplicitAny: see AppserviceCall
  under(key: string): any[]
  /** Answers requests other than transactions; default: 404. Throwing leaves the homeserver without a response. */
  respond: (call: AppserviceCall) => Promise<{ status: number; body?: unknown }>
  /** The status with which it answers transactions; it accepts them only with 200. */
  answerTransactions: number
  start(): Promise<void>
  stop(): Promise<void>
  /** Sends a request to a homeserver as one of its users, or as its sender. */
  ask(
    homeserver: string,
    request: { method: string; path: string; body?: unknown; as?: string; device?: string },
  ): Promise<Answer>
  dispose(): Promise<void>
}

const TRANSACTION = /^\/_matrix\/app\/v1\/transactions\/([^/]+)$/

/** Starts an application service for users `@_ID_…` and aliases `#_ID_…`; `more`: further keys of its registration. */
export async function startAppservice(id: string, more: Record<string, unknown> = {}): Promise<TestAppservice> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'hearth-appservice-'))
  const registrationFile = join(folder, `${id}.yaml`)
  const url = `http://127.0.0.1:${port}`
  const [asToken, hsToken] = [`as-token-of-${id}`, `hs-token-of-${id}`]
  const registration = {
    id,
    url,
    as_token: asToken,
    hs_token: hsToken,
    sender_localpart: `_${id}_bot`,
    namespaces: {
      users: [{ exclusive: true, regex: `@_${id}_.*` }],
      aliases: [{ exclusive: true, regex: `#_${id}_.*` }],
      rooms: [],
    },
    rate_limited: false,
    ...more,
  }
  writeFileSync(registrationFile, JSON.stringify(registration))
  let server: Server | undefined

  const appservice: TestAppservice = {
    id,
    url,
    registrationFile,
    asToken,
    hsToken,
    calls: [],
    transactions: new Map(),
    events: () => [...appservice.transactions.values()].flatMap(({ events }) => events),
    under: (key) => [...appservice.transactions.values()].flatMap((body) => body[key] ?? []),
    respond: async () => ({ status: 404 }),
    answerTransactions: 200,
    async start() {
      server = createServer(async (request, response) => {
        const call = await callOf(request)
        appservice.calls.push(call)
        try {
          const { status, body = {} } = await answer(appservice, call)
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
        } catch {
          request.socket.destroy()
        }
      })
      await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve))
    },
    async stop() {
      const stopping = server
      server = undefined
      await new Promise<void>((resolve) => {
        if (!stopping) return resolve()
        stopping.close(() => resolve())
        stopping.closeAllConnections()
      })
    },
    ask(homeserver, { method, path, body, as, device }) {
      const target = new URL(path, homeserver)
      if (as !== undefined) target.searchParams.set('user_id', as)
      if (device !== undefined) target.searchParams.set('device_id', device)
      return ask(homeserver, { method, path: target.pathname + target.search, body, token: asToken })
    },
    async dispose() {
      await appservice.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await appservice.start()
  return appservice
}

async function answer(appservice: TestAppservice, call: AppserviceCall): Promise<{ status: number; body?: unknown }> {
  if (call.token !== appservice.hsToken) return { status: 403, body: { errcode: 'M_FORBIDDEN' } }
  const txnId = TRANSACTION.exec(call.path)?.[1]
  if (txnId === undefined || call.method !== 'PUT') return appservice.respond(call)
  if (appservice.answerTransactions !== 200) return { status: appservice.answerTransactions }
  const known = appservice.transactions.get(txnId)
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(call.body))
    throw new Error(`the transaction ${txnId} came again with other content`)
  appservice.transactions.set(txnId, call.body)
  return { status: 200 }
}

async function callOf(request: IncomingMessage): Promise<AppserviceCall> {
  const { pathname, searchParams } = new URL(request.url!, 'http://localhost')
  let text = ''
  for await (const chunk of request) text += chunk
  return {
    method: request.method!,
    path: pathname,
    query: searchParams,
    token: request.headers.authorization?.replace(/^Bearer /, '') ?? '',
    body: text === '' ? undefined : JSON.parse(text),
  }
}
