import { createHash } from 'node:crypto'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** The EICAR test text, in two parts, so that scanners of this machine do not find it in this file. */
export const MALWARE = Buffer.from(
  ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join(''),
)

/** A scanner that finds MALWARE. */
export type FakeScanner = {
  /** For `media.scanner.clamd` or `.url`. */
  address: string
  /** The contents that it was asked about. */
  scanned: Buffer[]
  /** How it behaves from now on. `away`: it closes connections. */
  mode: 'working' | 'away' | 'failing' | 'silent'
} & AsyncDisposable

/** Starts a program that speaks the protocol of clamd, on a port or at a path. Streams over `maxBytes` are an error. */
export async function startFakeClamd({
  path,
  maxBytes = 1024 * 1024,
}: {
  path?: string
  maxBytes?: number
} = {}): Promise<FakeScanner> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => {}))
    if (scanner.mode === 'away') return socket.destroy()
    void answer(socket)
  })

  async function answer(socket: Socket): Promise<void> {
    const content = await readStream(socket, maxBytes).catch(() => undefined)
    if (scanner.mode === 'silent') return
    if (content === undefined) socket.end('INSTREAM size limit exceeded. ERROR\0')
    else if (scanner.mode === 'failing') socket.end("stream: Can't allocate memory ERROR\0")
    else {
      scanner.scanned.push(content)
      socket.end(content.includes(MALWARE) ? 'stream: Win.Test.EICAR_HDB-1 FOUND\0' : 'stream: OK\0')
    }
  }

  const scanner: FakeScanner = {
    address: await listen(server, path),
    scanned: [],
    mode: 'working',
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return scanner
}

/** Reads the command and the chunks, each behind its length, up to an empty one. */
async function readStream(socket: Socket, maxBytes: number): Promise<Buffer> {
  const COMMAND = Buffer.from('zINSTREAM\0')
  let held = Buffer.alloc(0)
  for await (const bytes of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, bytes])
    if (!held.subarray(0, COMMAND.length).equals(COMMAND.subarray(0, held.length))) throw new Error('another command')
    const chunks: Buffer[] = []
    let size = 0
    for (let at = COMMAND.length; held.length >= at + 4; ) {
      const length = held.readUInt32BE(at)
      if (length === 0) return Buffer.concat(chunks)
      size += length
      if (size > maxBytes) throw new Error('too large')
      if (held.length < at + 4 + length) break
      chunks.push(held.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
  }
  throw new Error('the stream ended early')
}

/** Starts a scanner with Hearth's HTTP API, which needs a token. */
export async function startFakeHttpScanner(token: string): Promise<FakeScanner> {
  const server = createHttpServer(async (request, response) => {
    const content = await buffer(request)
    const { authorization, 'x-hearth-sha256': hash } = request.headers
    if (scanner.mode === 'away') return request.socket.destroy()
    if (scanner.mode === 'silent') return
    if (scanner.mode === 'failing') return response.writeHead(500).end('{"clean":true}')
    const isIntact = hash === createHash('sha256').update(content).digest('hex')
    if (authorization !== `Bearer ${token}` || !isIntact) return response.writeHead(403).end()
    scanner.scanned.push(content)
    const isFound = content.includes(MALWARE)
    response.end(JSON.stringify({ clean: !isFound, ...(isFound && { reason: 'EICAR' }) }))
  })
  const scanner: FakeScanner = {
    address: `http://${await listen(server)}/scan`,
    scanned: [],
    mode: 'working',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return scanner
}

async function listen(server: Server | HttpServer, path?: string): Promise<string> {
  await new Promise<void>((resolve) => {
    if (path !== undefined) server.listen(path, resolve)
    else server.listen(0, '127.0.0.1', resolve)
  })
  return path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`
}
