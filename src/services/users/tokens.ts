import { createHmac, hash } from 'node:crypto'
import type { Random } from '../../infra/random.ts'

/** 40 letters and digits: 238 bits; derived ones are hexadecimal: 160 bits. */
const TOKEN_LENGTH = 40
/** 142 bits. */
const FAMILY_LENGTH = 24

/** Generates a secret for a client. The prefix shows the kind of secret in logs and leaks. */
export function newToken(
  app: { random: Random },
  kind: 'access' | 'personal' | 'login' | 'openid' | 'code' | 'device',
): string {
  return `hearth_${kind}_${app.random.token(TOKEN_LENGTH)}`
}

/** Generates the first refresh token of a session. */
export function newRefreshToken(app: { random: Random }): string {
  return refreshTokenText(app.random.token(FAMILY_LENGTH), app.random.token(TOKEN_LENGTH))
}

/**
 * Derives the tokens that replace a refresh token, so that a repeated refresh returns the same ones. Neither the token
 * nor `salt`, which the server stores, suffices to compute them.
 */
export function deriveTokens(refreshToken: string, salt: string): { accessToken: string; refreshToken: string } {
  const family = familyOf(refreshToken) ?? importedFamilyOf(refreshToken)
  const derive = (kind: string) =>
    createHmac('sha256', refreshToken).update(`${kind} ${salt}`).digest('hex').slice(0, TOKEN_LENGTH)
  return {
    accessToken: `hearth_access_${derive('access')}`,
    refreshToken: refreshTokenText(family, derive('refresh')),
  }
}

/** Returns the part of a refresh token that all refresh tokens of one session share; undefined for any other text. */
export function familyOf(refreshToken: string): string | undefined {
  return /^hearth_refresh_([A-Za-z0-9]+)_[A-Za-z0-9]+$/.exec(refreshToken)?.[1]
}

/** Returns what takes the place of that part for a refresh token that another server issued. */
export function importedFamilyOf(refreshToken: string): string {
  return createHmac('sha256', refreshToken).update('family').digest('hex').slice(0, FAMILY_LENGTH)
}

function refreshTokenText(family: string, secret: string): string {
  return `hearth_refresh_${family}_${secret}`
}

/** Returns the form in which a secret is stored: SHA-256 in base64url. Secrets of this length need no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
