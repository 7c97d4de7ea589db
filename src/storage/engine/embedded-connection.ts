import { Duplex } from 'node:stream'
import type { PGlite } from '@electric-sql/pglite'

/** Resets the session for a new connection: PGlite has one session, which outlives its connections. */
const CLEAN_UP = 'rollback; deallocate all; reset all'

/**
 * Returns what `pg` expects as a socket to PostgreSQL: it takes messages of the protocol and returns the responses of
 * an embedded PGlite. So both databases use the same prepared statements, types and errors. Responses arrive through
 * the event loop: between two statements other work gets its turn, however many statements wait. Only one such
 * connection may be open at a time.
 */
export function connectTo(pglite: PGlite): Duplex {
  function exchange(messages: Buffer, done: (error?: Error | null) => void): void {
    // Copies the bytes, because PGlite reuses their memory.
    const onRawData = (bytes: Uint8Array) => stream.push(Buffer.from(bytes))
    pglite.execProtocolRawStream(messages, { syncToFs: false, onRawData }).then(() => done(), done)
  }

  const stream = new Duplex({
    read() {},
    write: (chunk: Buffer, _, done) => void setImmediate(exchange, chunk, done),
    writev: (chunks, done) => void setImmediate(exchange, Buffer.concat(chunks.map(({ chunk }) => chunk)), done),
    final(done) {
      stream.push(null)
      done()
    },
  })
  return Object.assign(stream, socketMethods(stream, pglite))
}

/** Methods of a socket that `pg` calls and a stream lacks. */
function socketMethods(stream: Duplex, pglite: PGlite) {
  return {
    connect: () =>
      pglite.exec(CLEAN_UP).then(
        () => stream.emit('connect'),
        (error) => stream.destroy(error),
      ),
    setNoDelay() {},
    setKeepAlive() {},
    ref() {},
    unref() {},
  }
}
