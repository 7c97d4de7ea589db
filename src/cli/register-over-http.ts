import { createHmac } from 'node:crypto'
import { ADMIN_REGISTER_PATH, type LocalServer, withServer } from './running-server.ts'

type Account = { username: string; password: string; admin: boolean }

/** Registers an account at a running server, with the shared secret for registration. Returns the user id. Throws CommandError with the server's reason. */
export function registerOverHttp({ url, sharedSecret }: LocalServer, account: Account): Promise<string> {
  return withServer(url, async (call) => {
    const nonce = String((await call(ADMIN_REGISTER_PATH)).nonce)
    const body = JSON.stringify({ nonce, ...account, mac: macOf(account, { nonce, sharedSecret }) })
    const { user_id, access_token } = await call(ADMIN_REGISTER_PATH, { method: 'POST', body })
    // End the session that comes with the account: it has no client.
    const headers = { authorization: `Bearer ${access_token}` }
    await call('/_matrix/client/v3/logout', { method: 'POST', headers }).catch(() => {})
    return String(user_id)
  })
}

/** The message authentication code that Synapse has defined for this endpoint: https://element-hq.github.io/synapse/latest/admin_api/register_api.html */
function macOf(account: Account, { nonce, sharedSecret }: { nonce: string; sharedSecret: string }): string {
  const parts = [nonce, account.username, account.password, account.admin ? 'admin' : 'notadmin']
  return createHmac('sha1', sharedSecret).update(parts.join('\0')).digest('hex')
}
