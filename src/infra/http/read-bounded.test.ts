import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { BodyTooLargeError, BodyTooSlowError, bounded, paced, readBounded } from './read-bounded.ts'

test('a body is read to its end, or to where it is too large', async () => {
  const pieces = [Buffer.from('abc'), Buffer.from('def')]
  expect((await readBounded(Readable.from(pieces), 6)).toString()).toBe('abcdef')
  await expect(readBounded(Readable.from(pieces), 5)).rejects.toThrow(BodyTooLargeError)
})

/** A body whose pieces arrive every `every` milliseconds, on its own clock. */
function arriving(pieces: number, { bytes, every }: { bytes: number; every: number }) {
  let now = 0
  async function* body() {
    for (let i = 0; i < pieces; i++) {
      now += every
      yield Buffer.alloc(bytes)
    }
  }
  return { body: paced(body(), undefined, () => now), pass: (ms: number) => (now += ms) }
}

async function count(body: AsyncIterable<Buffer>): Promise<number> {
  let size = 0
  for await (const chunk of body) size += chunk.length
  return size
}

test('a body that only trickles is left after some time, one that gets on is not', async () => {
  await expect(count(arriving(1000, { bytes: 1, every: 500 }).body)).rejects.toThrow(BodyTooSlowError)
  expect(await count(arriving(1000, { bytes: 2000, every: 1000 }).body)).toBe(2_000_000)
  expect(await count(arriving(10, { bytes: 1, every: 1000 }).body)).toBe(10)
})

test('time that the reader takes does not count against the sender', async () => {
  const { body, pass } = arriving(10, { bytes: 1, every: 100 })
  let read = 0
  for await (const chunk of bounded(body, 100)) {
    read += chunk.length
    pass(60_000)
  }
  expect(read).toBe(10)
})
