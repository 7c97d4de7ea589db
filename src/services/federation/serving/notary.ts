import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { signJson } from '../../../core/signing/sign-json.ts'
import type { WantedAnswer } from '../../../infra/federation/key-ring.ts'
import { ownKeyAnswer } from './own-key-answer.ts'

/**
 * Returns the keys of other servers, each also signed by this one, from the cache if it suffices. For servers that are
 * down, returns the last known keys; unknown servers are left out.
 * https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
 */
export async function askNotary(
  app: Pick<App, 'keyRing' | 'database' | 'clock' | 'serverName' | 'signingKeys'>,
  wanted: ReadonlyMap<ServerName, WantedAnswer>,
): Promise<{ server_keys: object[] }> {
  const others = new Map([...wanted].filter(([server]) => server !== app.serverName))
  const answers = [...(await app.keyRing.answers(others)).values()].flat().map((text) => JSON.parse(text) as object)
  const signed = answers.map((answer) => signJson(answer, app.serverName, app.signingKeys.current))
  return { server_keys: wanted.has(app.serverName) ? [await ownKeyAnswer(app), ...signed] : signed }
}
