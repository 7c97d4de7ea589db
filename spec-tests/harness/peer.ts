import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'
import type { Answer } from './client.ts'
import type { TestFederation } from './federation.ts'

/** An unsigned request to a server of a test federation, as from another server. */
export async function get(federation: TestFederation, serverName: string, path: string): Promise<Answer> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) } })
  try {
    const answer = await request(`https://${serverName}${path}`, { dispatcher })
    return { status: answer.statusCode, body: await answer.body.json(), headers: new Headers(answer.headers as never) }
  } finally {
    await dispatcher.close()
  }
}
