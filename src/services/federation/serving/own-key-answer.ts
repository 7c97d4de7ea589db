import type { App } from '../../../app.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { ServerKeyResponse } from '../../../core/signing/server-key-response.ts'
import { signJson } from '../../../core/signing/sign-json.ts'
import { loadOwnKeys } from '../../../storage/federation/own-keys.ts'

/** How long other servers may cache the response; a stolen key stays usable for this time after it was rotated. */
const VALID_MS = 24 * 3_600_000

/**
 * Returns this server's signed key response: the current keys and the old ones.
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 */
export async function ownKeyAnswer(
  app: Pick<App, 'database' | 'clock' | 'serverName' | 'signingKeys'>,
): Promise<ServerKeyResponse> {
  const { serverName } = app
  const signingKey = app.signingKeys.current
  const now = app.clock.now()
  const verify_keys: ServerKeyResponse['verify_keys'] = { [signingKey.keyId]: { key: signingKey.publicKey } }
  const old_verify_keys: ServerKeyResponse['old_verify_keys'] = {}
  for (const { key_id, public_key, expired_ts } of await loadOwnKeys(app.database)) {
    // A rotated key is in use until the last process has the new one.
    if (expired_ts === null || expired_ts > now) verify_keys[key_id] = { key: public_key }
    else if (!verify_keys[key_id]) old_verify_keys[key_id] = { key: public_key, expired_ts }
  }
  const answer = { server_name: serverName, valid_until_ts: now + VALID_MS, verify_keys, old_verify_keys }
  return inCanonicalOrder(signJson(answer, serverName, signingKey))
}

/** Some servers verify the text as received, with only the signatures cut out, instead of its canonical form. */
function inCanonicalOrder(answer: ServerKeyResponse): ServerKeyResponse {
  return JSON.parse(canonicalJson(answer)) as ServerKeyResponse
}
