import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileTypeFromBuffer } from 'file-type'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { Reply, route } from '../http/route.ts'

type Asset = { path: string; type: string; bytes: Buffer }

const require = createRequire(import.meta.url)

/** The stylesheets, in their order. Their paths change with their content, so that browsers may keep them for long. */
export const STYLESHEETS: readonly Asset[] = [
  asset('pico.css', require.resolve('@picocss/pico/css/pico.min.css')),
  asset('hearth.css', join(import.meta.dirname, 'hearth.css')),
]

/** The library that draws charts. */
export const CHARTS = {
  stylesheet: asset('uplot.css', require.resolve('uplot/dist/uPlot.min.css')),
  scripts: [
    asset('uplot.js', require.resolve('uplot/dist/uPlot.iife.min.js')),
    asset('charts.js', join(import.meta.dirname, 'charts.js')),
  ],
} as const

const ASSETS: readonly Asset[] = [...STYLESHEETS, CHARTS.stylesheet, ...CHARTS.scripts]

const KEPT = { 'Cache-Control': 'public, max-age=31536000, immutable', 'X-Content-Type-Options': 'nosniff' }

function asset(name: string, file: string): Asset {
  const bytes = readFileSync(file)
  const version = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
  const type = name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8'
  return { path: `/assets/${version}/${name}`, type, bytes }
}

export const getAsset = route({
  method: 'GET',
  path: '/assets/:version/:name',
  auth: 'none',
  rateLimit: 'none',
  params: z.object({ version: z.string(), name: z.string() }),
  handle({ request: { path } }) {
    const found = ASSETS.find((each) => each.path === path)
    if (!found) throw new NotFoundError('There is no such file')
    return new Reply(200, found.bytes, { 'Content-Type': found.type, ...KEPT })
  },
})

/** The path of the operator's logo, see `branding.logo`. */
export const LOGO_PATH = '/assets/logo'

export const getLogo = route({
  method: 'GET',
  path: LOGO_PATH,
  auth: 'none',
  rateLimit: 'none',
  handle: async (_call, app) => {
    const bytes = readLogo(app)
    const type = (await fileTypeFromBuffer(bytes))?.mime
    const isSvg = type === undefined || type === 'application/xml'
    return new Reply(200, bytes, {
      'Content-Type': isSvg ? 'image/svg+xml' : type,
      'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      'Cache-Control': 'public, max-age=3600',
      'X-Content-Type-Options': 'nosniff',
    })
  },
})

function readLogo({ config }: Pick<App, 'config'>): Buffer {
  if (config.branding.logo === undefined) throw new NotFoundError('This server has no logo')
  return readFileSync(config.branding.logo)
}
