import { Duplex } from 'node:stream'
import type { PGlite } from '@electric-sql/pglite'

/** Ends what an earlier connection left: there is one session, which outlives its connections. */
const CLEAN_UP = 'rollback; deallocate all; reset all'

/**
 * What `pg` takes for a socket to PostgreSQL: messages of its protocol go in, the answers of a PGlite in this process come out. So the embedded database is
 * asked as the other is: by prepared statements, with the same types and errors. Its answers come by the event loop, too: between two statements all else has
 * its turn, however many of them are waiting. Only one such connection may be open at a time.
 */
export function connectTo(pglite: PGlite): Duplex {
  function exchange(messages: Buffer, done: (error?: Error | null) => void): void {
    // Bytes are copied, for the memory that they are in is used again.
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

/** Those methods of a socket that `pg` calls and a stream does not have. */
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
