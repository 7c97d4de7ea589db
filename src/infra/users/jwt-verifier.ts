import type { KeyObject } from 'node:crypto'
import type { Config } from '../../config.ts'
import type { Clock } from '../clock.ts'

export type JwtClaims = Readonly<Record<string, unknown>>

export type JwtVerifier = {
  /** Returns the claims of a token, or why its form, signature, time, issuer or audience is wrong. */
  verify(token: string): Promise<{ claims: JwtClaims } | { refusal: string }>
}

const MAX_LENGTH = 16_384
/** The clocks of two machines may differ. */
const TOLERANCE_S = 5

/**
 * Creates the verifier of tokens with which users sign in; undefined if none is configured, and then the library is not
 * loaded. The key belongs to one algorithm, and only that is accepted: nobody can pass off a public key as a secret.
 */
export async function createJwtVerifier(
  config: Config['jwt'],
  { clock, readKey }: { clock: Clock; readKey: (config: Config['jwt']) => KeyObject | Uint8Array },
): Promise<JwtVerifier | undefined> {
  const { algorithm, issuer, audiences } = config
  if (algorithm === undefined) return undefined
  const { errors, jwtVerify } = await import('jose')
  const key = readKey(config)
  return {
    async verify(token) {
      if (token.length > MAX_LENGTH) return { refusal: `it is longer than ${MAX_LENGTH} characters` }
      const expected = { ...(issuer !== undefined && { issuer }), ...(audiences.length > 0 && { audience: audiences }) }
      const currentDate = new Date(clock.now())
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [algorithm],
          currentDate,
          clockTolerance: TOLERANCE_S,
          ...expected,
        })
        if (payload.aud === undefined || audiences.length > 0) return { claims: payload }
        return { refusal: 'it has the claim aud, but no audience is configured' }
      } catch (error) {
        if (error instanceof errors.JOSEError) return { refusal: error.message }
        throw error
      }
    },
  }
}
