import { z } from 'zod'
import type { Config } from '../../config.ts'
import type { Trust } from '../http/trusted-connections.ts'

/** A mail to one recipient. */
export const mail = z.object({
  to: z.string(),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  /** The same for a mail that may go out twice, so that recipients can tell. */
  messageId: z.string(),
})
export type Mail = z.input<typeof mail>

export type Mailer = {
  /** Hands a mail to the mail server. Rejects when that does not take it. */
  send(mail: Mail): Promise<void>
  close(): void
}

const CONNECTION_TIMEOUT_MS = 10_000
const SOCKET_TIMEOUT_MS = 30_000

/** A connection to the configured mail server, by TLS if that has a certificate that `trust` knows; undefined when there is none, and then nothing of what speaks with one is loaded. */
export async function createMailer(config: Config['email'], trust: Trust): Promise<Mailer | undefined> {
  const { smtp_url: url, from, require_tls: requireTLS } = config
  if (url === undefined) return undefined
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    url,
    requireTLS,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    greetingTimeout: CONNECTION_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
    tls: { secureContext: trust() },
  })
  return {
    async send({ headers = {}, ...content }) {
      // Robots that answer mails leave those of robots alone: https://www.rfc-editor.org/rfc/rfc3834
      await transport.sendMail({ ...content, from, headers: { 'Auto-Submitted': 'auto-generated', ...headers } })
    },
    close: () => transport.close(),
  }
}
