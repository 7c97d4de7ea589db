import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

// biome-ignore lint/suspicious/noExplicitAny: each check has a body of its own
type Checked = { name: string; body: any; authorization: string | undefined }

/** A service for spam checks, in the protocol of synapse-http-antispam. */
export type SpamService = {
  url: string
  /** The checks so far. */
  seen: Checked[]
  /** Sets the answer to each check; default: it is allowed. `text` replaces the JSON; null: there is no answer. */
  answerWith(answer: (check: Checked) => Answer): void
  close(): void
}

type Answer = { status: number; body?: object; text?: string; headers?: Record<string, string> } | null

const allowed = (): Answer => ({ status: 200, body: {} })

export async function startSpamService(): Promise<SpamService> {
  const seen: Checked[] = []
  let answer = allowed as (check: Checked) => Answer
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const { authorization } = request.headers
    const check = { name: request.url!.split('/').at(-1)!, body: JSON.parse(text), authorization }
    seen.push(check)
    const given = answer(check)
    if (!given) return
    response.writeHead(given.status, given.headers)
    response.on('error', () => {}).end(given.text ?? JSON.stringify(given.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/1/spam_check`,
    seen,
    answerWith: (given) => {
      answer = given
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
