import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createLogger, type Logger } from './logger.ts'

function record(format: 'json' | 'pretty' = 'json', level: 'info' | 'warn' = 'info') {
  const lines: string[] = []
  const logger = createLogger({ format, level }, { write: (line) => lines.push(line) })
  return { lines, logger }
}

function logged(write: (logger: Logger) => void): Record<string, unknown> {
  const { lines, logger } = record()
  write(logger)
  return JSON.parse(lines.join(''))
}

test('a line has level, time and the fields of its child logger', () => {
  const line = logged((logger) => logger.child({ request_id: 'r1' }).info({ status: 200 }, 'done'))
  expect(line).toEqual({ level: 'info', time: expect.any(String), request_id: 'r1', status: 200, msg: 'done' })
  expect(new Date(line.time as string).getTime()).toBeGreaterThan(0)
})

test('less severe messages are left out', () => {
  const { lines, logger } = record('json', 'warn')
  logger.info('no')
  logger.warn('yes')
  expect(lines).toHaveLength(1)
})

describe('secrets do not reach the log', () => {
  test.each([
    [{ password: 's3cret' }],
    [{ body: { password: 's3cret', auth: { password: 's3cret' } } }],
    [{ headers: { authorization: 'Bearer s3cret' } }],
    [{ access_token: 's3cret' }],
    [{ url: '/_matrix/client/v3/sync?since=1&access_token=s3cret&timeout=0' }],
    [{ url: '/login?loginToken=s3cret' }],
    [{ url: '/_matrix/client/v3/auth/m.login.password/fallback/web?session=s3cret' }],
    [{ url: '/_matrix/client/unstable/hearth/confirm_email/abc/s3cret' }],
    [{ url: '/_matrix/client/unstable/hearth/unsubscribe/1/s3cret?x=1' }],
    [{ url: '/password/reset/abc/s3cret?continue=/account' }],
    [{ url: '/account/renew/s3cret' }],
    [{ url: '/device?user_code=s3cret' }],
    [{ url: '/account/avatar?csrf=s3cret' }],
    [{ url: '/upstream/cas/callback?state=s3cret&ticket=s3cret' }],
    [{ body: 'device_code=s3cret&code_verifier=s3cret' }],
    [{ url: '/_matrix/client/unstable/io.element.msc4388/rendezvous/s3cret/1' }],
    [{ url: '/_matrix/client/unstable/org.matrix.msc4140/delayed_events/s3cret/send' }],
    [{ err: new Error('GET https://a/?access_token=s3cret failed') }],
    [{ url: '/sync?access%5Ftoken=s3cret' }],
    [{ url: '/sync?timeout=0&%61%63cess%5ftoken=s3cret&since=1' }],
    [{ url: '/sync?a=%20&access%5Ftoken=s3cret#s3cret' }],
    [{ url: '/login?login%54oken=s3cret' }],
    [{ url: '/_matrix/client/unstable/org.matrix.msc4108/%72endezvous/s3cret' }],
    [{ path: '/sync?access_token=s3cret' }],
    [{ headers: { Authorization: 'Bearer s3cret' } }],
    [{ headers: { 'Sec-WebSocket-Protocol': 'hearth.token.s3cret' } }],
    [{ headers: { 'proxy-authorization': 'Basic s3cret', 'Set-Cookie': 's3cret' } }],
    [{ header: 'authorization: bearer s3cret' }],
    [{ body: 'access%5Ftoken=s3cret' }],
    [{ body: 'session=s3cret&new_password=s3cret' }],
    [{ body: '{"refresh_token": "s3cret"}' }],
    [{ body: '{"new_password":"s3cret\\" s3cret"}' }],
    [{ tried: [{ accessToken: 's3cret' }, '/sync?access_token=s3cret'] }],
    [{ err: new Error('{"access_token":"s3cret"} cannot be read') }],
    [{ err: Object.assign(new Error('refused'), { headers: { Authorization: 's3cret' } }) }],
    [{ err: new Error('failed', { cause: new Error('GET /?access%5Ftoken=s3cret') }) }],
  ])('%j', (fields) => {
    const line = JSON.stringify(logged((logger) => logger.info(fields, 'x')))
    expect(line).not.toContain('s3cret')
    expect(line).toContain('[hidden]')
  })

  test('while the rest of the URL stays', () => {
    const line = logged((logger) => logger.info({ url: '/sync?since=1&access_token=x&timeout=0' }))
    expect(line.url).toBe('/sync?since=1&access_token=[hidden]&timeout=0')
  })
})

test('an error keeps its name, code and stack', () => {
  const error = Object.assign(new TypeError('broke'), { code: 'EBROKE' })
  expect(logged((logger) => logger.error({ err: error }, 'x')).err).toMatchObject({
    type: 'TypeError',
    message: 'broke',
    code: 'EBROKE',
    stack: expect.stringContaining('logger.test.ts'),
  })
})

test('the pretty format reads as one line, with stacks below', () => {
  const { lines, logger } = record('pretty')
  logger.info({ room_id: '!r:a', note: 'two words' }, 'joined')
  logger.error({ err: new Error('broke') }, 'failed')
  expect(stripVTControlCharacters(lines[0]!)).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} info {2}joined room_id=!r:a note="two words"\n$/,
  )
  expect(stripVTControlCharacters(lines[1]!)).toMatch(/error failed\n {4}Error: broke\n {8}at /)
})

test('logged content cannot control the terminal or add lines in the pretty format', () => {
  const { lines, logger } = record('pretty')
  logger.info({ agent: '\u001b[2J', mirror: '\u202egpj', c1: '\u009b2J' }, 'one\nforged line')
  logger.info({ err: new Error('broke \u001b[1A') }, 'failed')
  const shown = stripVTControlCharacters(lines.join(''))
  expect(shown).toContain('one\\u000aforged line')
  expect(shown).toContain('\\u202egpj')
  expect(shown).toContain('\\u009b2J')
  expect(shown).toContain('broke \\u001b[1A')
  for (const sequence of ['\u001b[2J', '\u001b[1A']) expect(lines.join('')).not.toContain(sequence)
})
