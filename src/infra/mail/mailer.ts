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
  /** The same for a mail that may be sent twice, so that recipients can detect it. */
  messageId: z.string(),
})
export type Mail = z.input<typeof mail>

export type Mailer = {
  /** Sends a mail to the mail server. Rejects if the server refuses it. */
  send(mail: Mail): Promise<void>
  close(): void
}

const CONNECTION_TIMEOUT_MS = 10_000
const SOCKET_TIMEOUT_MS = 30_000

/**
 * Creates a connection to the configured mail server, with TLS if its certificate is in `trust`; undefined if none is
 * configured, and then the mail library is not loaded.
 */
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
      // Prevents automatic replies: https://www.rfc-editor.org/rfc/rfc3834
      await transport.sendMail({ ...content, from, headers: { 'Auto-Submitted': 'auto-generated', ...headers } })
    },
    close: () => transport.close(),
  }
}
