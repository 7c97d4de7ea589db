import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { isUserId, type UserId } from '../../core/ids.ts'

/** A third-party address, and the identity server for which the inviter has a token. */
export type ThirdParty = { idServer: string; idAccessToken: string; medium: string; address: string }

const hashDetails = z.object({ lookup_pepper: z.string(), algorithms: z.array(z.string()) })
/** Some servers include unbound addresses with null. */
const mappings = z.object({ mappings: z.record(z.string(), z.string().nullable()).nullable() })

/**
 * Finds the user to whom an address is bound. The identity server sees only a hash of the address. Throws its refusal,
 * and 502.
 * https://spec.matrix.org/v1.19/identity-service-api/#association-lookup
 */
export async function findThirdParty(
  app: Pick<App, 'identity'>,
  { idServer: server, idAccessToken: accessToken, medium, address }: ThirdParty,
): Promise<UserId | undefined> {
  const ask = { server, accessToken }
  const said = await app.identity.request({ ...ask, method: 'GET', path: '/_matrix/identity/v2/hash_details' })
  const details = hashDetails.safeParse(said)
  if (!details.success || !details.data.algorithms.includes('sha256')) throw unusable(server)
  const { lookup_pepper: pepper } = details.data
  const hashed = createHash('sha256').update(`${address} ${medium} ${pepper}`).digest('base64url')
  const body = { algorithm: 'sha256', pepper, addresses: [hashed] }
  const found = mappings.safeParse(
    await app.identity.request({ ...ask, method: 'POST', path: '/_matrix/identity/v2/lookup', body }),
  )
  if (!found.success) throw unusable(server)
  const userId = found.data.mappings?.[hashed]
  return userId && isUserId(userId) ? userId : undefined
}

/** Returns the error for an identity server with an invalid response. */
export function unusable(server: string): MatrixError {
  return new MatrixError(502, 'M_UNKNOWN', `The identity server ${server} sent a malformed response`)
}
