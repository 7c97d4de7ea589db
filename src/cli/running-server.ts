import { Agent, fetch, type RequestInit } from 'undici'
import type { Config } from '../config.ts'
import { CommandError } from './command.ts'
import { listenerUrl } from './listener-url.ts'
import { readRegistrationSecret } from './registration-secret.ts'

/** A Hearth on this machine that uses the embedded database. */
export type LocalServer = { url: string; sharedSecret: string }

/** Sends a request to the server; throws CommandError with its reason. */
export type CallServer = (path: string, options?: RequestInit) => Promise<Record<string, unknown>>

/** The endpoint for nonces, and for accounts. */
export const ADMIN_REGISTER_PATH = '/_synapse/admin/v1/register'

/** Returns how to reach the running server. Throws CommandError if it cannot be asked to do `what`. */
export function findRunningServer(config: Config, what: string): LocalServer {
  const sharedSecret = config.registration.shared_secret ?? readRegistrationSecret(config)
  const listener = config.listeners.find(({ serves }) => serves.includes('admin'))
  if (sharedSecret !== undefined && listener !== undefined) return { url: listenerUrl(listener), sharedSecret }
  const missing =
    listener === undefined ? 'none of its listeners serves admin' : 'registration.shared_secret is not set'
  throw new CommandError(
    `A running Hearth uses the embedded database and cannot ${what}, because ${missing}. Change that, or stop Hearth and run this again.`,
  )
}

/** Runs `work` with a function that calls the server. */
export async function withServer<Result>(url: string, work: (call: CallServer) => Promise<Result>): Promise<Result> {
  // This machine's own server, at an address that its certificate does not name.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  try {
    return await work(async (path, options = {}) => {
      const response = await fetch(url + path, { dispatcher, ...options })
      const answer = (await response.json()) as Record<string, unknown>
      if (!response.ok) throw new CommandError(`The running server refuses: ${answer.error}`)
      return answer
    })
  } finally {
    await dispatcher.close()
  }
}
