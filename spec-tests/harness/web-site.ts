import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'

/** Files for a browser on a local port. */
export type WebSite = { url: string; close(): Promise<void> }

const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** Serves texts by path, and folders by path prefix. `/` is `/index.html`. */
export async function serveFiles({
  texts,
  folders,
}: {
  texts: Readonly<Record<string, string>>
  folders: Readonly<Record<string, string>>
}): Promise<WebSite> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://localhost')
    const path = pathname === '/' ? '/index.html' : pathname
    const prefix = Object.keys(folders).find((each) => path.startsWith(each))
    try {
      const content = texts[path] ?? (await readFile(join(folders[prefix!]!, path.slice(prefix!.length))))
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream')
      response.end(content)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
