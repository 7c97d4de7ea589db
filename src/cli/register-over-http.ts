import { createHmac } from 'node:crypto'
import { Agent, fetch, type RequestInit } from 'undici'
import { CommandError } from './command.ts'

const PATH = '/_synapse/admin/v1/register'

/** Registers an account at a running server, with the shared secret for registration. Returns the user id. Throws CommandError with the server's reason. */
export async function registerOverHttp(account: {
  url: string
  sharedSecret: string
  username: string
  password: string
  admin: boolean
}): Promise<string> {
  // This machine's own server, at an address that its certificate does not name.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const call = async (path: string, options: RequestInit = {}): Promise<Record<string, unknown>> => {
    const response = await fetch(account.url + path, { dispatcher, ...options })
    const answer = (await response.json()) as Record<string, unknown>
    if (!response.ok) throw new CommandError(`The running server refuses: ${answer.error}`)
    return answer
  }
  try {
    const nonce = String((await call(PATH)).nonce)
    const { username, password, admin } = account
    const body = JSON.stringify({ nonce, username, password, admin, mac: macOf(account, nonce) })
    const { user_id, access_token } = await call(PATH, { method: 'POST', body })
    // End the session that comes with the account: it has no client.
    const headers = { authorization: `Bearer ${access_token}` }
    await call('/_matrix/client/v3/logout', { method: 'POST', headers }).catch(() => {})
    return String(user_id)
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
