import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'

/**
 * A server without Hearth, for comparison: it writes each upload to a file chunk by chunk, hashes it with SHA-256 and
 * syncs it, and serves it by a pipe. Started by media.ts with a folder; sends its URL.
 */
const folder = process.argv[2]!
let count = 0

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    const path = join(folder, request.url!.slice(request.url!.lastIndexOf('/') + 1))
    response.writeHead(200, { 'Content-Length': (await stat(path)).size })
    createReadStream(path).pipe(response)
    return
  }
  const id = `${count++}`
  const file = await open(join(folder, id), 'wx')
  const hash = createHash('sha256')
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    await file.write(chunk)
  }
  await file.sync()
  await file.close()
  response.end(JSON.stringify({ content_uri: `mxc://plain/${id}`, sha256: hash.digest('hex') }))
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  process.send!(`http://127.0.0.1:${port}`)
})
process.on('message', async (name: string) => {
  await rm(join(folder, name), { force: true })
})
