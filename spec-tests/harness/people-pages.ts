import { expect } from 'vitest'
import { ask, type TestUser, uniqueName } from './client.ts'
import type { HostileWorld } from './hostile-world.ts'
import { linkTo, PASSWORD } from './password-guesses.ts'
import { v3 } from './rooms.ts'

/** The path prefix of web pages that the specification does not have. */
export const HEARTH = '/_matrix/client/unstable/hearth'
/** The authentication stages with a page. */
export const STAGES = [
  'm.login.password',
  'm.login.dummy',
  'm.login.terms',
  'm.login.registration_token',
  'm.login.email.identity',
]
/** Returns the URL of a stage's page. */
export const stagePage = ({ url }: HostileWorld, stage: string, session: string) =>
  `${url}${v3}/auth/${encodeURIComponent(stage)}/fallback/web?session=${encodeURIComponent(session)}`
/** Submits the form of a page. */
export const postForm = (page: string, fields: Record<string, string> = {}) =>
  fetch(page, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })

/**
 * Asserts that a page contains no injected text, cannot be framed, is not cached and sends no Referer. Returns its
 * text.
 */
export async function expectPage(answer: Response, ...foreign: string[]): Promise<string> {
  const { headers } = answer
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = headers.get('content-security-policy') ?? ''
  for (const part of ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"])
    expect(policy).toContain(part)
  expect(policy.replace("img-src 'self' data:", '')).not.toMatch(/unsafe-|\*|data:|https?:/)
  expect(headers.get('x-frame-options')).toBe('DENY')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('set-cookie')).toBeNull()
  expect(headers.get('location')).toBeNull()
  const text = await answer.text()
  for (const piece of foreign) expect(text).not.toContain(piece)
  return text
}

/** Starts an authentication session for a request of a user, or without one for a registration. */
export async function sessionOf(world: HostileWorld, user?: TestUser): Promise<string> {
  const answer = user
    ? await user.ask('POST', `${v3}/delete_devices`, { devices: [user.deviceId] })
    : await ask(world.url, { method: 'POST', path: `${v3}/register`, body: { password: PASSWORD } })
  expect(answer.body.session).toEqual(expect.any(String))
  return answer.body.session
}

/** Requests the verification of an address, and returns its link and credentials. */
export async function confirmLink(world: HostileWorld, more: object = {}, address = `${uniqueName()}@example.org`) {
  const creds = { client_secret: uniqueName('secret') }
  const body = { email: address, send_attempt: 1, ...creds, ...more }
  const answer = await ask(world.url, { method: 'POST', path: `${v3}/register/email/requestToken`, body })
  expect(answer.status).toBe(200)
  return { link: await linkTo(world, address), creds: { ...creds, sid: answer.body.sid as string }, address }
}
