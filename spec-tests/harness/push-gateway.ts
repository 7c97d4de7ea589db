import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestUser } from './client.ts'

/** A request of a homeserver to a push gateway. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into messages of every shape
export type Notification = Record<string, any>

/** A push gateway that records requests. */
export type PushGateway = {
  /** For `data.url` of a pusher. */
  url: string
  /** All notifications, also refused ones. */
  received: Notification[]
  /** The next responses: the status, and rejected pushkeys; status 0: no response. */
  answer: { status: number; rejected: string[] }
  close(): Promise<void>
}

export async function startPushGateway(): Promise<PushGateway> {
  const received: Notification[] = []
  const answer: PushGateway['answer'] = { status: 200, rejected: [] }
  const server = createServer(async (request, response) => {
    // The URL preview of a gateway's address, for one, which the fuzzer asks for.
    if (request.method !== 'POST') return response.writeHead(405).end()
    received.push((await bodyOf(request)).notification)
    if (answer.status === 0) return
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ rejected: answer.rejected }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/_matrix/push/v1/notify`,
    received,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export async function setPusher(user: TestUser, { url }: PushGateway, pushkey: string): Promise<void> {
  const names = { app_display_name: 'App', device_display_name: 'Phone', lang: 'en' }
  const pusher = { app_id: 'org.example.app', pushkey, kind: 'http', data: { url }, ...names }
  await user.post('/_matrix/client/v3/pushers/set', pusher)
}

async function bodyOf(request: IncomingMessage): Promise<{ notification: Notification }> {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}
