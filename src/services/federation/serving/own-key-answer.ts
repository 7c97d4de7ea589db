import type { App } from '../../../app.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { ServerKeyResponse } from '../../../core/signing/server-key-response.ts'
import { signJson } from '../../../core/signing/sign-json.ts'
import { loadOwnKeys } from '../../../storage/federation/own-keys.ts'

/** How long others may go by the answer; a stolen key stays of use so long after it was changed. */
const VALID_MS = 24 * 3_600_000

/**
 * This server's keys, signed: those in use, and those that it signed with earlier.
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 */
export async function ownKeyAnswer(
  app: Pick<App, 'database' | 'clock' | 'serverName' | 'signingKey'>,
): Promise<ServerKeyResponse> {
  const { serverName, signingKey } = app
  const now = app.clock.now()
  const verify_keys: ServerKeyResponse['verify_keys'] = { [signingKey.keyId]: { key: signingKey.publicKey } }
  const old_verify_keys: ServerKeyResponse['old_verify_keys'] = {}
  for (const { key_id, public_key, expired_ts } of await loadOwnKeys(app.database)) {
    // A key that was changed is in use until the last process has the new one.
    if (expired_ts === null || expired_ts > now) verify_keys[key_id] = { key: public_key }
    else if (!verify_keys[key_id]) old_verify_keys[key_id] = { key: public_key, expired_ts }
  }
  const answer = { server_name: serverName, valid_until_ts: now + VALID_MS, verify_keys, old_verify_keys }
  return inCanonicalOrder(signJson(answer, serverName, signingKey))
}

/** Some verify the text as it came, with only the signatures cut out, rather than order it anew. */
function inCanonicalOrder(answer: ServerKeyResponse): ServerKeyResponse {
  return JSON.parse(canonicalJson(answer)) as ServerKeyResponse
}
