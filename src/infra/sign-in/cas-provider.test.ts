import { describe, expect, test } from 'vitest'
import { parseValidation } from './cas-provider.ts'
import { UpstreamError } from './upstream-provider.ts'

const response = (inner: string) =>
  `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">${inner}</cas:serviceResponse>`
const success = (inner: string) => response(`<cas:authenticationSuccess>${inner}</cas:authenticationSuccess>`)
const faultOf = (xml: string) => {
  try {
    return parseValidation(xml)
  } catch (error) {
    if (error instanceof UpstreamError) return error.fault
    throw error
  }
}

describe('an answer of CAS', () => {
  test('names the user and their attributes', () => {
    const attributes = '<cas:mail>a&amp;b@example.org</cas:mail><cas:group>x</cas:group><cas:group>y</cas:group>'
    const xml = success(`\n  <cas:user> anna </cas:user><cas:attributes>${attributes}</cas:attributes>`)
    expect(parseValidation(`<?xml version="1.0"?>\n${xml}`)).toEqual({
      subject: 'anna',
      sid: undefined,
      claims: { user: 'anna', mail: ['a&b@example.org'], group: ['x', 'y'] },
    })
  })

  test('may use another prefix for its namespace, or none', () => {
    const xml = success('<cas:user>anna</cas:user>').replaceAll('cas:', '').replace('xmlns:cas', 'xmlns')
    expect(parseValidation(xml.replace('xmlns:cas', 'xmlns'))).toMatchObject({ subject: 'anna' })
  })

  test('keeps the whole name around comments and CDATA', () => {
    const xml = success('<cas:user>anna<!-- x -->.<![CDATA[evil]]></cas:user>')
    expect(parseValidation(xml)).toMatchObject({ subject: 'anna.evil' })
  })

  test('cannot name another user in its attributes', () => {
    const xml = success('<cas:user>anna</cas:user><cas:attributes><cas:user>admin</cas:user></cas:attributes>')
    expect(parseValidation(xml)).toMatchObject({ subject: 'anna', claims: { user: 'anna' } })
  })

  test.each([
    ['INVALID_TICKET', 'refused'],
    ['INVALID_TICKET_SPEC', 'refused'],
    ['INVALID_SERVICE', 'misconfigured'],
    ['UNAUTHORIZED_SERVICE', 'misconfigured'],
    ['INTERNAL_ERROR', 'unreachable'],
  ])('with %s is %s', (code, fault) => {
    expect(faultOf(response(`<cas:authenticationFailure code="${code}">no</cas:authenticationFailure>`))).toBe(fault)
  })

  test.each([
    ['is empty', ''],
    ['is HTML', '<html><body>Sign in</body></html>'],
    ['is not well-formed', success('<cas:user>anna')],
    ['names nobody', success('<cas:user> </cas:user>')],
    ['is of another namespace', success('<cas:user>anna</cas:user>').replace('yale.edu', 'example.org')],
    ['has a user of another namespace', success('<x:user xmlns:x="urn:x">anna</x:user>')],
    ['has a user elsewhere', response('<cas:user>anna</cas:user>')],
    [
      'has a document type',
      `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>${success('<cas:user>&e;</cas:user>')}`,
    ],
    ['uses an unknown entity', success('<cas:user>&e;</cas:user>')],
    ['has endless elements', success(`<cas:user>a</cas:user>${'<cas:x/>'.repeat(300)}`)],
    ['is followed by another', success('<cas:user>anna</cas:user>') + success('<cas:user>admin</cas:user>')],
  ])('is invalid if it %s', (_, xml) => expect(faultOf(xml)).toBe('invalid'))

  test('that fails and succeeds at once is a failure', () => {
    const both =
      '<cas:authenticationFailure code="INVALID_TICKET"/><cas:authenticationSuccess><cas:user>a</cas:user></cas:authenticationSuccess>'
    expect(faultOf(response(both))).toBe('refused')
  })
})
