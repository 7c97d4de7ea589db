import { expect, test } from 'vitest'
import { acceptedContentType, mayShowInline, servedContentType } from './content-type.ts'

test.each([
  ['image/png', 'image/png'],
  ['img/png', 'img/png'],
  ['Text/Plain; charset=utf-8', 'text/plain;charset=utf-8'],
  ['text/plain;charset="utf-8"', 'text/plain;charset=utf-8'],
  ['application/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.text'],
  [undefined, 'application/octet-stream'],
  ['', 'application/octet-stream'],
  ['nonsense', 'application/octet-stream'],
  ['text/plain\r\nSet-Cookie: a=b', 'application/octet-stream'],
  ['text/plain; a="\u00ff\u0100"', 'text/plain'],
  [`text/${'x'.repeat(300)}`, 'application/octet-stream'],
])('%j is taken as %j', (claimed, accepted) => {
  expect(acceptedContentType(claimed)).toBe(accepted)
})

test.each([
  ['image/png', 'image/png', 'image/png'],
  ['image/png', 'image/jpeg', 'image/png'],
  ['image/png', null, 'application/octet-stream'],
  ['IMAGE/PNG', 'text/html', 'application/octet-stream'],
  ['image/svg+xml', 'application/xml', 'image/svg+xml'],
  ['image/svg+xml', null, 'image/svg+xml'],
  ['image/svg+xml; charset=utf-8', null, 'image/svg+xml; charset=utf-8'],
  ['image/svg+xml', 'image/png', 'application/octet-stream'],
  ['image/svg+xml', 'application/zip', 'application/octet-stream'],
  ['image/x-xbitmap', null, 'image/x-xbitmap'],
  ['image/heic', 'image/heif', 'image/heic'],
  ['image/x-xbitmap', 'application/zip', 'application/octet-stream'],
  ['text/plain', null, 'text/plain'],
  ['img/png', 'image/png', 'img/png'],
])('%s that is %s is served as %s', (claimed, detected, served) => {
  expect(servedContentType(claimed, detected)).toBe(served)
})

test.each([
  ['image/png', true],
  ['Text/Plain; charset=utf-8', true],
  ['text/html', false],
  ['text/html;text/plain', false],
  ['image/svg+xml', false],
  ['application/xhtml+xml', false],
  ['application/pdf', false],
  ['application/octet-stream', false],
])('%s inline: %s', (type, inline) => {
  expect(mayShowInline(type)).toBe(inline)
})
