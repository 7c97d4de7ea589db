import { hash } from 'node:crypto'
import type { App } from '../../app.ts'

/** 40 letters and digits: 238 bits. */
const TOKEN_LENGTH = 40

/** A fresh secret for a client. The prefix says in logs and leaks what kind of secret it is. */
export function newToken(app: Pick<App, 'random'>, kind: 'access' | 'refresh' | 'login' | 'openid'): string {
  return `hearth_${kind}_${app.random.token(TOKEN_LENGTH)}`
}

/** How storage knows a secret: SHA-256 in base64url. Secrets of this length need no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
