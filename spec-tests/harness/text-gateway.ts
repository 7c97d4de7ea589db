import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** An operator's gateway for text messages, which records them. */
export type TextGateway = {
  url: string
  token: string
  /** Returns the texts to a number (with +). */
  to(number: string): string[]
  /** Refuses the next messages. */
  refuse(count: number): void
  /** The headers and bodies of all requests. */
  requests: { authorization: string | undefined; body: unknown }[]
  stop(): Promise<void>
}

export async function startTextGateway(): Promise<TextGateway> {
  const requests: TextGateway['requests'] = []
  const accepted: { to: string; text: string }[] = []
  let refusals = 0
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as { to: string; text: string }
    requests.push({ authorization: request.headers.authorization, body })
    if (refusals > 0) {
      refusals--
      return void response.writeHead(503).end()
    }
    accepted.push(body)
    response.writeHead(202).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/send`,
    token: 'the token of the gateway',
    to: (number) => accepted.filter(({ to }) => to === number).map(({ text }) => text),
    refuse(count) {
      refusals = count
    },
    requests,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
