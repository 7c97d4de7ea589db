import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
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

/**
 * Serves texts by path, and folders by path prefix. A path that ends in `/` is its `index.html`. `fallback`: the file for other paths that
 * browsers open, as pages with a router need. `https`: with TLS, for a host that the caller
 * resolves to 127.0.0.1.
 */
export async function serveFiles({
  texts,
  folders,
  fallback,
  https,
}: {
  texts: Readonly<Record<string, string>>
  folders: Readonly<Record<string, string>>
  fallback?: string
  https?: { host: string; tls: { certificate: string; key: string } }
}): Promise<WebSite> {
  const serve: RequestListener = async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://localhost')
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname
    const prefix = Object.keys(folders).find((each) => path.startsWith(each))
    try {
      const content = texts[path] ?? (await readFile(join(folders[prefix!]!, path.slice(prefix!.length))))
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream')
      response.end(content)
    } catch {
      const isPage = fallback !== undefined && request.headers['sec-fetch-dest'] === 'document'
      if (isPage) response.setHeader('content-type', 'text/html').end(await readFile(fallback))
      else response.writeHead(404).end()
    }
  }
  const server = https
    ? createTlsServer({ cert: readFileSync(https.tls.certificate), key: readFileSync(https.tls.key) }, serve)
    : createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `${https ? `https://${https.host}` : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
