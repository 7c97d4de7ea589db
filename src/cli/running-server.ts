import type { Config } from '../config.ts'
import { CommandError } from './command.ts'
import { listenerUrl } from './listener-url.ts'
import { readRegistrationSecret } from './registration-secret.ts'

/** A Hearth on this machine that uses the embedded database; `secret`: its shared secret for registration. */
type LocalServer = { origin: string; secret: string }

/** Returns how to reach the running server. Throws CommandError if it cannot be asked to do something. */
export function findRunningServer(config: Config): LocalServer {
  const secret = config.registration.shared_secret ?? readRegistrationSecret(config)
  const listener = config.listeners.find(({ serves }) => serves.includes('admin'))
  if (secret !== undefined && listener !== undefined) return { origin: listenerUrl(listener), secret }
  const missing =
    listener === undefined ? 'none of its listeners serves admin' : 'registration.shared_secret is not set'
  throw new CommandError(
    `A running Hearth uses the embedded database and cannot be asked, because ${missing}. Change that, or stop Hearth and run this again.`,
  )
}
