import type { TOTP } from 'otpauth'

/** The defaults of authenticator apps: RFC 6238 with SHA-1, 6 digits and 30 seconds. */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 }
/** Clocks of phones may differ by this number of time steps. */
const WINDOW = 1

/** Renders the bytes of a secret in base32, as users type it into an app. */
export async function toTotpSecret(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { Secret } = await import('otpauth')
  return new Secret({ buffer: Uint8Array.from(bytes).buffer }).base32
}

/** Returns the address that a QR code carries into an app. */
export async function totpAddress(secret: string, names: { issuer: string; label: string }): Promise<string> {
  return (await createTotp(secret, names)).toString()
}

/**
 * Returns the time step of a code, in periods since 1970; undefined if it is not the code of the present step or one
 * beside it. `now` in milliseconds.
 */
export async function findTotpStep(secret: string, code: string, now: number): Promise<number | undefined> {
  if (!/^\d{6}$/.test(code)) return undefined
  const totp = await createTotp(secret, {})
  const delta = totp.validate({ token: code, timestamp: now, window: WINDOW })
  return delta === null ? undefined : totp.counter({ timestamp: now }) + delta
}

async function createTotp(secret: string, names: { issuer?: string; label?: string }): Promise<TOTP> {
  const otpauth = await import('otpauth')
  return new otpauth.TOTP({ ...PARAMETERS, ...names, secret: otpauth.Secret.fromBase32(secret) })
}
