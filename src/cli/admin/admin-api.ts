import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Agent, type Dispatcher, fetch, type Response } from 'undici'
import { endpointsFor } from '../../api/endpoints.ts'
import { createHttpApp } from '../../api/http/http-app.ts'
import { closeServer } from '../../api/http/http-server.ts'
import type { App } from '../../app.ts'
import type { Config } from '../../config.ts'
import { jobHandlers } from '../../services/jobs/job-handlers.ts'
import { operatorParts, writeOperatorProof } from '../../services/users/administration/operator.ts'
import { DataFolderLockedError } from '../../storage/engine/data-folder-lock.ts'
import { CommandError } from '../command.ts'
import { withApp } from '../open-configured.ts'
import { operatorName } from '../operator-name.ts'
import { findRunningServer } from '../running-server.ts'

/** The admin API of the configured server, for a command of `hearth`. */
export type AdminApi = {
  config: Config
  /** Sends a request as an administrator. Returns the body of the response; throws CommandError for a refusal. */
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many endpoints, which their callers know
  request<Body = Record<string, any>>(method: Method, path: string, body?: object): Promise<Body>
  /** As `request`, for a response that is no JSON. */
  download(path: string): Promise<Readable>
}

/** Sends a request of an administrator. */
export type AdminRequest = AdminApi['request']

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'
/** The longest time that the server may work on a request. */
const LONGEST_MS = 60 * 60_000

type Target = { origin: string; dispatcher: Dispatcher; secret: string }

/**
 * Runs `work` with the admin API of the configured server, whether or not it runs. If the database can be opened, this
 * process serves the API itself, to nobody else, and does the work that requests begin; otherwise a running server has
 * the embedded database and serves it.
 */
export async function withAdminApi<Result>(config: Config, work: (api: AdminApi) => Promise<Result>): Promise<Result> {
  try {
    return await serveHere(config, (target) => work(apiOf(config, target)))
  } catch (error) {
    if (!(error instanceof DataFolderLockedError)) throw error
  }
  return withRunningServer(config, work)
}

/** Runs `work` with the admin API of the server on this machine. Throws CommandError if it cannot be asked. */
export function withRunningServer<Result>(config: Config, work: (api: AdminApi) => Promise<Result>): Promise<Result> {
  const target = findRunningServer(config)
  // This machine's own server, at an address that its certificate does not name.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, headersTimeout: LONGEST_MS })
  return work(apiOf(config, { ...target, dispatcher })).finally(() => dispatcher.close())
}

async function serveHere<Result>(config: Config, work: (target: Target) => Promise<Result>): Promise<Result> {
  const secret = config.registration.shared_secret ?? randomBytes(32).toString('hex')
  const serving: Config = { ...config, registration: { ...config.registration, shared_secret: secret } }
  return withApp(serving, async (app) => {
    // Other jobs may take hours, and the command waits for the end of its own.
    app.jobs.start(jobHandlers(app), { onlyBegun: true })
    try {
      return await listenHere(app, (socketPath) => {
        const dispatcher = new Agent({ connect: { socketPath } })
        return work({ origin: 'http://localhost', dispatcher, secret }).finally(() => dispatcher.close())
      })
    } finally {
      await app.jobs.stop()
    }
  })
}

/** Serves the API at a socket in a folder that only this user can open. */
async function listenHere<Result>(app: App, work: (socketPath: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-'))
  const socketPath = join(folder, 'socket')
  const endpoints = endpointsFor(['admin'], app.config)
  const server = createServer(createHttpApp(app, { endpoints, trustedProxies: 0 }).callback())
  try {
    await once(server.listen(socketPath), 'listening')
    return await work(socketPath)
  } finally {
    await closeServer(server)
    rmSync(folder, { recursive: true, force: true })
  }
}

function apiOf(config: Config, { secret, ...target }: Target): AdminApi {
  const prove = (method: Method, path: string) => {
    const proof = { name: operatorName(), nonce: randomBytes(16).toString('hex'), time: Date.now() }
    const signed = operatorParts(proof, { method, url: path }).join('\0')
    return writeOperatorProof({ ...proof, mac: createHmac('sha256', secret).update(signed).digest('hex') })
  }
  return {
    config,
    async request(method, path, body) {
      const response = await send(target, { method, path, authorization: prove(method, path), body })
      const answer = parse(await response.text())
      if (!response.ok) throw refusalOf(response, answer)
      return answer as never
    },
    async download(path) {
      const response = await send(target, { method: 'GET', path, authorization: prove('GET', path) })
      if (!response.ok) throw refusalOf(response, parse(await response.text()))
      return Readable.fromWeb(response.body!)
    },
  }
}

function send(
  { origin, dispatcher }: Omit<Target, 'secret'>,
  {
    method,
    path,
    authorization,
    body,
  }: { method: Method; path: string; authorization: string; body?: object | undefined },
): Promise<Response> {
  return fetch(origin + path, {
    ...{ method, dispatcher, headers: { authorization } },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error) => {
    const reason = error.cause?.message || error.cause?.code || error.message
    throw new CommandError(
      `Hearth uses the embedded database but does not answer at ${origin}: ${reason}. If it is starting or stopping, try again in some seconds.`,
    )
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  } catch {
    throw new CommandError('The answer is not from Hearth. Check whether another program listens at its address.')
  }
}

function refusalOf(response: Response, answer: Record<string, unknown>): CommandError {
  const [first] = Array.isArray(answer.errors) ? answer.errors : []
  const reason = String(answer.error ?? first?.title ?? `The server answered ${response.status}`)
  return new CommandError(reason.endsWith('.') ? reason : `${reason}.`)
}
