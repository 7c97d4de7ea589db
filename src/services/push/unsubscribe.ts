import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { deleteEmailPusher } from '../../storage/push/email-digests.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'random'>

/** Under `/_matrix`, which proxies forward. */
export const UNSUBSCRIBE_PATH = '/_matrix/client/unstable/hearth/unsubscribe'

/** Returns the link that ends a pusher's mails without a login. */
export async function unsubscribeLink(app: Capabilities, pusherNid: number): Promise<string> {
  const token = (await tokenFor(app, pusherNid)).toString('base64url')
  return `${app.config.public_base_url}${UNSUBSCRIBE_PATH}/${pusherNid}/${token}`
}

/** Throws M_FORBIDDEN for an invalid token. */
export async function requireUnsubscribeToken(app: Capabilities, pusherNid: number, token: string): Promise<void> {
  const given = Buffer.from(token, 'base64url')
  const expected = await tokenFor(app, pusherNid)
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new ForbiddenError('This link is not valid')
}

/** Deletes a mail pusher, if present. Throws M_FORBIDDEN. */
export async function unsubscribe(app: Capabilities, pusherNid: number, token: string): Promise<void> {
  await requireUnsubscribeToken(app, pusherNid, token)
  await app.database.write((tx) => deleteEmailPusher(tx, pusherNid))
}

async function tokenFor(app: Capabilities, pusherNid: number): Promise<Buffer> {
  const secret = await serverSecret(app.database, 'unsubscribe', () => app.random.bytes(32).toString('base64url'))
  return createHmac('sha256', secret).update(String(pusherNid)).digest()
}
