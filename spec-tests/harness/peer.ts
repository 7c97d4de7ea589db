import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'
import { checkAnswer } from './check-answer.ts'
import type { Answer } from './client.ts'
import type { TestFederation } from './federation.ts'

/**
 * Sends a request to a server of a test federation as from another server; unsigned, so only for endpoints without a
 * signature. With a body, the default method is POST.
 */
export async function askServer(
  federation: TestFederation,
  serverName: string,
  path: string,
  body?: unknown,
  method: 'POST' | 'PUT' = 'POST',
): Promise<Answer> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) } })
  try {
    const answer = await request(`https://${serverName}${path}`, {
      dispatcher,
      ...(body !== undefined && { method, body: JSON.stringify(body) }),
    })
    const status = answer.statusCode
    const result = { status, body: await answer.body.json(), headers: new Headers(answer.headers as never) }
    checkAnswer({ method: body === undefined ? 'GET' : 'POST', path }, result)
    return result
  } finally {
    await dispatcher.close()
  }
}
