import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A CAS server whose tickets and answers the test decides. */
export type CasServer = {
  url: string
  /**
   * Signs a user in at the page to which the browser was led; returns where CAS sends the browser. A ticket that is given
   * without a password is no good for a service that demands one.
   */
  signIn(loginUrl: string, user: string, attributes?: Record<string, string>): URL
  /** Whether CAS asks for the password at this page, although the user is signed in there. */
  asksAgain(loginUrl: string): boolean
  /** What `/p3/serviceValidate` answers instead, from now on. */
  answerWith(answer: { status: number; body: string } | undefined): void
  close(): void
}

/** Starts a CAS server. A ticket is valid once, for the service that it was issued for. */
export async function startCasServer(): Promise<CasServer> {
  const tickets = new Map<string, { service: string; renewed: boolean; body: string }>()
  let fixed: { status: number; body: string } | undefined
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://cas')
    const ticket = searchParams.get('ticket') ?? ''
    const issued = tickets.get(ticket)
    tickets.delete(ticket)
    const isRenewed = issued?.renewed || !searchParams.has('renew')
    const isGood =
      pathname === '/cas/p3/serviceValidate' && issued?.service === searchParams.get('service') && isRenewed
    const failure = '<cas:authenticationFailure code="INVALID_TICKET">unknown</cas:authenticationFailure>'
    const { status, body } = fixed ?? { status: 200, body: wrap(isGood ? issued!.body : failure) }
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
  })
  server.unref()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/cas`,
    signIn(loginUrl, user, attributes = {}) {
      const service = new URL(loginUrl).searchParams.get('service')!
      const ticket = `ST-${tickets.size}-${Math.random().toString(36).slice(2)}`
      const named = Object.entries(attributes).map(([name, value]) => `<cas:${name}>${value}</cas:${name}>`)
      const inner = `<cas:user>${user}</cas:user><cas:attributes>${named.join('')}</cas:attributes>`
      tickets.set(ticket, {
        service,
        renewed: asksAgain(loginUrl),
        body: `<cas:authenticationSuccess>${inner}</cas:authenticationSuccess>`,
      })
      const back = new URL(service)
      back.searchParams.set('ticket', ticket)
      return back
    },
    asksAgain,
    answerWith(answer) {
      fixed = answer
    },
    close: () => void server.close(),
  }
}

function asksAgain(loginUrl: string): boolean {
  return new URL(loginUrl).searchParams.get('renew') === 'true'
}

function wrap(inner: string): string {
  return `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">${inner}</cas:serviceResponse>`
}
