import { expect, test } from 'vitest'
import { MalformedMultipartError, readParts } from './multipart.ts'

async function* inChunks(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let place = 0; place < bytes.length; place += size) yield bytes.subarray(place, place + size)
}

async function read(text: string, size = 1000, contentType = 'multipart/mixed; boundary=xyz') {
  const parts: { headers: object; content: string }[] = []
  for await (const { headers, content } of readParts(contentType, inChunks(text, size))) {
    const chunks: Buffer[] = []
    for await (const chunk of content) chunks.push(chunk)
    parts.push({ headers: Object.fromEntries(headers), content: Buffer.concat(chunks).toString() })
  }
  return parts
}

const BODY =
  'before\r\n--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n--xyz  \r\ncontent-type:text/plain\r\nX-Folded: a\r\n b\r\n\r\na\r\n--xy\r\n-é\r\n\r\n--xyz--\r\nafter'
const PARTS = [
  { headers: { 'content-type': 'application/json' }, content: '{}' },
  { headers: { 'content-type': 'text/plain', 'x-folded': 'a b' }, content: 'a\r\n--xy\r\n-é\r\n' },
]

test.each([1, 2, 3, 5, 7, 1000])('parts come out whole from chunks of %d bytes', async (size) => {
  expect(await read(BODY, size)).toEqual(PARTS)
})

test.each([['multipart/mixed; boundary="xyz"'], ['Multipart/Mixed;charset=utf-8; Boundary=xyz']])(
  '%s names the boundary',
  async (contentType) => expect(await read(BODY, 100, contentType)).toEqual(PARTS),
)

test('parts may have no headers and no content, and the first delimiter may be at the start', async () => {
  expect(await read('--xyz\r\n\r\n\r\n--xyz\r\n\r\nb\r\n--xyz--')).toEqual([
    { headers: {}, content: '' },
    { headers: {}, content: 'b' },
  ])
  expect(await read('--xyz\r\n\r\na\r\n--xyz--\r\n')).toEqual([{ headers: {}, content: 'a' }])
})

test('content that is not read is passed over', async () => {
  const seen: string[] = []
  for await (const { headers } of readParts('multipart/mixed; boundary=xyz', inChunks(BODY, 4)))
    seen.push(headers.get('content-type')!)
  expect(seen).toEqual(['application/json', 'text/plain'])
})

test.each([
  ['no boundary in the type', BODY, 'text/plain'],
  ['no delimiter', 'nothing', undefined],
  ['an end too early', BODY.slice(0, 60), undefined],
  ['headers without end', `--xyz\r\n${'a: b\r\n'.repeat(10_000)}`, undefined],
])('%s is malformed', async (_, text, contentType) => {
  await expect(read(text, 1000, contentType)).rejects.toThrow(MalformedMultipartError)
})
