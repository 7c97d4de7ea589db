import { createHmac } from 'node:crypto'
import { Agent, fetch } from 'undici'
import { CommandError } from './command.ts'

const PATH = '/_synapse/admin/v1/register'

/** Registers an account at a running server, with the shared secret for registration. Gives the user id. Throws CommandError with the server's reason. */
export async function registerOverHttp(account: {
  url: string
  sharedSecret: string
  username: string
  password: string
  admin: boolean
}): Promise<string> {
  // The server is this machine's own, reached by an address that its certificate does not name.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const call = async (body?: object): Promise<Record<string, unknown>> => {
    const options = body && { method: 'POST', body: JSON.stringify(body) }
    const response = await fetch(account.url + PATH, {
      dispatcher,
      headers: { 'content-type': 'application/json' },
      ...options,
    })
    const answer = (await response.json()) as Record<string, unknown>
    if (!response.ok) throw new CommandError(`The running server refuses: ${answer.error}`)
    return answer
  }
  try {
    const nonce = String((await call()).nonce)
    const { username, password, admin } = account
    return String((await call({ nonce, username, password, admin, mac: macOf(account, nonce) })).user_id)
  } finally {
    await dispatcher.close()
  }
}

/** The message authentication code that Synapse has defined for this endpoint: https://element-hq.github.io/synapse/latest/admin_api/register_api.html */
function macOf(
  account: { sharedSecret: string; username: string; password: string; admin: boolean },
  nonce: string,
): string {
  const parts = [nonce, account.username, account.password, account.admin ? 'admin' : 'notadmin']
  return createHmac('sha1', account.sharedSecret).update(parts.join('\0')).digest('hex')
}
