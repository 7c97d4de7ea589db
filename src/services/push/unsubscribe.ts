import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { deleteEmailPusher } from '../../storage/push/email-digests.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'random'>

/** Below `/_matrix`, which proxies pass on. */
export const UNSUBSCRIBE_PATH = '/_matrix/client/unstable/hearth/unsubscribe'

/** The link by which whoever has it ends the mails of a pusher, without logging in. */
export async function unsubscribeLink(app: Capabilities, pusherNid: number): Promise<string> {
  const token = (await tokenFor(app, pusherNid)).toString('base64url')
  return `${app.config.public_base_url}${UNSUBSCRIBE_PATH}/${pusherNid}/${token}`
}

/** Throws M_FORBIDDEN for a link that we have not given out. */
export async function requireUnsubscribeToken(app: Capabilities, pusherNid: number, token: string): Promise<void> {
  const given = Buffer.from(token, 'base64url')
  const expected = await tokenFor(app, pusherNid)
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new ForbiddenError('This link is not valid')
}

/** Ends the mails of a pusher; no matter if there are none any more. Throws M_FORBIDDEN. */
export async function unsubscribe(app: Capabilities, pusherNid: number, token: string): Promise<void> {
  await requireUnsubscribeToken(app, pusherNid, token)
  await app.database.write((tx) => deleteEmailPusher(tx, pusherNid))
}

async function tokenFor(app: Capabilities, pusherNid: number): Promise<Buffer> {
  const secret = await serverSecret(app.database, 'unsubscribe', () => app.random.bytes(32).toString('base64url'))
  return createHmac('sha256', secret).update(String(pusherNid)).digest()
}
