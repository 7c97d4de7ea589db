import sharp from 'sharp'
import { registerUser } from '../spec-tests/harness/client.ts'
import { download, upload } from './file-transfer.ts'
import { inParallel, measure, type Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'

/**
 * Measures thumbnails of photographs: the first request for each, which makes it, and later ones. `node
 * bench/thumbnails.ts [photographs]`, by default 40 of each size.
 */
const photographs = Number(process.argv[2] ?? 40)
const SIZES = [
  [1600, 1200],
  [4000, 3000],
] as const
const AT_ONCE = 8
const REPEATS = 20

async function photograph(width: number, height: number): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
  const create = { width: width / 8, height: height / 8, channels: 3, background: '#888', noise } as const
  const small = await sharp({ create }).png().toBuffer()
  return sharp(small).resize(width, height).jpeg({ quality: 85 }).toBuffer()
}

async function measureOn(target: Target): Promise<Record<string, number>> {
  const at = { url: target.url, token: (await registerUser(target.url)).accessToken }
  const figures: Record<string, number> = {}
  for (const [width, height] of SIZES) {
    const content = await photograph(width, height)
    const paths: string[] = []
    for (let number = 0; number < photographs; number++) {
      // Bytes after the end of the image make each a file of its own.
      const file = Buffer.concat([content, Buffer.from(`${number} ${Math.random()}`)])
      const id = await upload(at, { file, type: 'image/jpeg' })
      paths.push(`/_matrix/client/v1/media/thumbnail/${id}?width=320&height=240&method=scale`)
    }
    const made = await measure(target, () => inParallel(photographs, AT_ONCE, (number) => download(at, paths[number]!)))
    const later = await measure(target, () =>
      inParallel(photographs * REPEATS, AT_ONCE, (number) => download(at, paths[number % photographs]!)),
    )
    const what = `${(width * height) / 1_000_000} megapixels`
    figures[`${what}: thumbnails made in a second`] = (photographs * 1000) / made.wall
    figures[`${what}: CPU for one (ms)`] = made.cpu / photographs
    figures[`${what}: thumbnails served again in a second`] = (photographs * REPEATS * 1000) / later.wall
    figures[`${what}: CPU for one of these (ms)`] = later.cpu / photographs / REPEATS
  }
  return figures
}

const columns = { PGlite: await onPglite(measureOn), PostgreSQL: await onPostgresql(measureOn) }
console.log('| | PGlite | PostgreSQL |\n|---|---:|---:|')
for (const [name, value] of Object.entries(columns.PGlite))
  console.log(`| ${name} | ${value.toPrecision(3)} | ${columns.PostgreSQL[name]!.toPrecision(3)} |`)
process.exit(0)
