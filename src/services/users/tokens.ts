import { hash } from 'node:crypto'
import type { Random } from '../../infra/random.ts'

/** 40 letters and digits: 238 bits. */
const TOKEN_LENGTH = 40
/** 142 bits. */
const FAMILY_LENGTH = 24

/** Generates a secret for a client. The prefix shows the kind of secret in logs and leaks. */
export function newToken(app: { random: Random }, kind: 'access' | 'login' | 'openid'): string {
  return `hearth_${kind}_${app.random.token(TOKEN_LENGTH)}`
}

/** Generates a refresh token. `family`: that of the login which it continues. */
export function newRefreshToken(app: { random: Random }, family: string | undefined): string {
  return `hearth_refresh_${family ?? app.random.token(FAMILY_LENGTH)}_${app.random.token(TOKEN_LENGTH)}`
}

/** Returns the part of a refresh token that all refresh tokens of one login share; undefined for any other text. */
export function familyOf(refreshToken: string): string | undefined {
  return /^hearth_refresh_([A-Za-z0-9]+)_[A-Za-z0-9]+$/.exec(refreshToken)?.[1]
}

/** Returns the form in which a secret is stored: SHA-256 in base64url. Secrets of this length need no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
