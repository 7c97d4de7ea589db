import { expect, test } from 'vitest'
import { contentUriOf, parseContentUri } from './content-uri.ts'

test.each(['mxc://example.org/abc', 'mxc://example.org:8448/A-_9', 'mxc://[::1]/a'])('%s has two parts', (uri) => {
  expect(contentUriOf(parseContentUri(uri)!)).toBe(uri)
})

test.each([
  ...['', 'mxc://', 'mxc://example.org', 'mxc://example.org/', 'mxc:///abc', 'https://example.org/abc'],
  ...['mxc://example.org/a/b', 'mxc://example.org/..', 'mxc://exa mple.org/abc', 'mxc://example.org/a\0', 7, null],
])('%j is not the URI of a file', (value) => {
  expect(parseContentUri(value)).toBeUndefined()
})
