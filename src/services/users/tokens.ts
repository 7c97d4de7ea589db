import { hash } from 'node:crypto'
import type { App } from '../../app.ts'

/** 40 letters and digits: 238 bits. */
const TOKEN_LENGTH = 40
/** 142 bits. */
const FAMILY_LENGTH = 24

/** A fresh secret for a client. The prefix says in logs and leaks what kind of secret it is. */
export function newToken(app: Pick<App, 'random'>, kind: 'access' | 'login' | 'openid'): string {
  return `hearth_${kind}_${app.random.token(TOKEN_LENGTH)}`
}

/** A fresh refresh token; `family`: that of the login whose tokens it continues. */
export function newRefreshToken(app: Pick<App, 'random'>, family: string | undefined): string {
  return `hearth_refresh_${family ?? app.random.token(FAMILY_LENGTH)}_${app.random.token(TOKEN_LENGTH)}`
}

/** The part of a refresh token that all refresh tokens of one login have; undefined for any other text. */
export function familyOf(refreshToken: string): string | undefined {
  return /^hearth_refresh_([A-Za-z0-9]+)_[A-Za-z0-9]+$/.exec(refreshToken)?.[1]
}

/** How storage knows a secret: SHA-256 in base64url. Secrets of this length need no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
