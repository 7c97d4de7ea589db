import { buffer } from 'node:stream/consumers'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { freePort } from '../../testing/free-port.ts'

/** An SMTP server that records mails. */
export type MailServer = {
  /** For `email.smtp_url`. */
  url: string
  /** Every accepted mail, in order. */
  received: Email[]
  /** Returns the mails to an address. */
  to(address: string): Email[]
  /** Stops it and closes all connections; recorded mails are kept. */
  stop(): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
}

export async function startMailServer(): Promise<MailServer> {
  const port = await freePort()
  const received: Email[] = []
  let server: SMTPServer | undefined

  async function start(): Promise<void> {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData(stream, _session, done) {
        buffer(stream)
          .then((bytes) => PostalMime.parse(bytes))
          .then((mail) => received.push(mail))
          .then(() => done(), done)
      },
    })
    server.on('error', () => {})
    const listening = server
    await new Promise<void>((resolve) => listening.listen(port, '127.0.0.1', resolve))
  }

  await start()
  return {
    url: `smtp://127.0.0.1:${port}`,
    received,
    to: (address) => received.filter((mail) => mail.to?.some((recipient) => recipient.address === address)),
    stop: () => new Promise((resolve) => server!.close(() => resolve())),
    start,
  }
}
