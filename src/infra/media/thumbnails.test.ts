import { Readable } from 'node:stream'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { createThumbnailer, type ThumbnailSpec } from './thumbnails.ts'

const thumbnailer = createThumbnailer(1_000_000, (error) => {
  throw error
})

async function render(image: Buffer, spec: Partial<ThumbnailSpec> = {}) {
  const box: ThumbnailSpec = { width: 32, height: 32, method: 'scale', animated: false, ...spec }
  const { bytes, contentType } = await thumbnailer.render(async () => Readable.from([image]), box)
  const metadata = bytes ? await sharp(bytes, { animated: box.animated }).metadata() : undefined
  return { contentType, bytes, metadata, size: metadata && [metadata.width, metadata.pageHeight ?? metadata.height] }
}

function plain(width: number, height: number, alpha = false) {
  return sharp({ create: { width, height, channels: alpha ? 4 : 3, background: { r: 200, g: 10, b: 10, alpha: 0.5 } } })
}

/** Four frames, each of another colour. */
function frames(width: number, height: number) {
  const pixels = Buffer.concat([0, 1, 2, 3].map((frame) => Buffer.alloc(width * height * 3, frame * 60)))
  return sharp(pixels, { raw: { width, height: height * 4, channels: 3, pageHeight: height } })
}

test('scales into the box and crops to its shape', async () => {
  const image = await plain(200, 100).jpeg().toBuffer()
  expect(await render(image)).toMatchObject({ contentType: 'image/jpeg', size: [32, 16] })
  expect(await render(image, { method: 'crop' })).toMatchObject({ contentType: 'image/jpeg', size: [32, 32] })
})

test.each(['png', 'gif'] as const)('%s becomes PNG', async (format) => {
  const image = await plain(200, 100).toFormat(format).toBuffer()
  expect(await render(image)).toMatchObject({ contentType: 'image/png', size: [32, 16] })
})

test.each(['webp', 'avif'] as const)('%s becomes JPEG, with transparency PNG', async (format) => {
  const [opaque, transparent] = await Promise.all(
    [false, true].map((alpha) => plain(64, 64, alpha).toFormat(format).toBuffer()),
  )
  expect((await render(opaque!)).contentType).toBe('image/jpeg')
  expect((await render(transparent!)).contentType).toBe('image/png')
})

test('a small image is served as it is, but not with metadata or in a rare format', async () => {
  const small = plain(20, 10)
  expect(await render(await small.clone().png().toBuffer())).toMatchObject({ contentType: 'image/png', bytes: null })
  const located = await small
    .clone()
    .withExif({ IFD0: { Copyright: 'somebody' } })
    .jpeg()
    .toBuffer()
  expect(await render(located)).toMatchObject({ contentType: 'image/jpeg', size: [20, 10] })
  expect((await render(located)).metadata?.exif).toBeUndefined()
  expect(await render(await small.clone().avif().toBuffer())).toMatchObject({
    contentType: 'image/jpeg',
    size: [20, 10],
  })
})

test('photographs are put upright and lose what they tell', async () => {
  // A camera held sideways: the left half of the stored image is the top.
  const left = await plain(100, 100).png().toBuffer()
  const sideways = await sharp({ create: { width: 200, height: 100, channels: 3, background: 'white' } })
    .composite([{ input: left, left: 0, top: 0 }])
    .withExif({ IFD0: { Make: 'camera' }, IFD3: { GPSLatitudeRef: 'N' } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer()
  const { metadata, bytes, size } = await render(sideways)
  expect(size).toEqual([16, 32])
  expect([metadata?.orientation, metadata?.exif, metadata?.icc]).toEqual([undefined, undefined, undefined])
  const { data, info } = await sharp(bytes!).raw().toBuffer({ resolveWithObject: true })
  const greenAt = (x: number, y: number) => data[(y * info.width + x) * info.channels + 1]!
  expect(greenAt(8, 4)).toBeLessThan(60)
  expect(greenAt(8, 28)).toBeGreaterThan(200)
})

const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8] as const
/** The corners of the image with each orientation, clockwise from the top left, so that it is upright as `RGBW`. */
const STORED = ['RGBW', 'GRWB', 'BWRG', 'WBGR', 'RWBG', 'GBWR', 'BGRW', 'WRGB'] as const
const COLOURS = { R: [255, 0, 0], G: [0, 255, 0], B: [0, 0, 255], W: [255, 255, 255] } as const

test.each(
  ORIENTATIONS.flatMap((orientation) =>
    (['jpeg', 'png', 'webp'] as const).map((format) => [orientation, format] as const),
  ),
)('orientation %d of a %s is upright, scaled and cropped', async (orientation, format) => {
  const [width, height] = orientation < 5 ? [200, 100] : [100, 200]
  const [topLeft, topRight, bottomRight, bottomLeft] = [...STORED[orientation - 1]!] as (keyof typeof COLOURS)[]
  const rows = [
    ...Array.from({ length: height / 2 }, () => [topLeft!, topRight!]),
    ...Array.from({ length: height / 2 }, () => [bottomLeft!, bottomRight!]),
  ]
  const pixels = rows.flatMap((row) =>
    row.flatMap((colour) => Array.from({ length: width / 2 }, () => COLOURS[colour]).flat()),
  )
  const stored = sharp(Buffer.from(pixels), { raw: { width, height, channels: 3 } })
  const image = await stored.toFormat(format).withMetadata({ orientation }).toBuffer()
  expect((await sharp(image).metadata()).orientation ?? 1).toBe(orientation)
  for (const [method, expected] of [
    ['scale', [32, 16]],
    ['crop', [32, 32]],
  ] as const) {
    const { bytes, size, metadata } = await render(image, { method })
    expect([size, metadata?.orientation]).toEqual([expected, undefined])
    expect(await cornersOf(bytes!)).toBe('RGBW')
  }
})

/** Returns the colours of the corners, clockwise from the top left. */
async function cornersOf(image: Buffer): Promise<string> {
  const { data, info } = await sharp(image).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const [right, bottom] = [info.width - 3, info.height - 3]
  const corners = [
    [2, 2],
    [right, 2],
    [right, bottom],
    [2, bottom],
  ] as const
  const bright = (x: number, y: number) => [0, 1, 2].map((channel) => data[(y * info.width + x) * 3 + channel]! > 128)
  const nameOf = (found: boolean[]) =>
    Object.entries(COLOURS).find(([, colour]) => colour.every((value, i) => value > 128 === found[i]))?.[0]
  return corners.map(([x, y]) => nameOf(bright(x, y)) ?? '?').join('')
}

test.each(['gif', 'webp'] as const)('an animated %s moves only when asked for', async (format) => {
  const image = await frames(100, 50)
    .toFormat(format, { delay: [100, 200, 100, 100] })
    .toBuffer()
  const moving = await render(image, { animated: true })
  expect(moving).toMatchObject({
    contentType: 'image/webp',
    size: [32, 16],
    metadata: { pages: 4, delay: [100, 200, 100, 100] },
  })
  const still = await render(image)
  expect(still.size).toEqual([32, 16])
  expect((await sharp(still.bytes!, { animated: true }).metadata()).pages ?? 1).toBe(1)
  expect(await render(image, { width: 800, height: 600, animated: true })).toMatchObject({
    bytes: null,
    contentType: `image/${format}`,
  })
  expect((await render(image, { width: 800, height: 600 })).size).toEqual([100, 50])
})

test('an animation of too many pixels in all is shown still', async () => {
  const image = await frames(600, 600).webp().toBuffer()
  expect((await render(image, { animated: true })).contentType).toBe('image/jpeg')
})

test('more pixels than allowed are refused', async () => {
  const image = await plain(1001, 1000).png().toBuffer()
  await expect(render(image)).rejects.toMatchObject({ status: 413, errcode: 'M_TOO_LARGE' })
})

test.each([
  ['text', Buffer.from('hello')],
  ['nothing', Buffer.alloc(0)],
  [
    'SVG',
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><rect width="9" height="9"/></svg>'),
  ],
  ['half a PNG', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
])('%s has no thumbnail', async (_, content) => {
  await expect(render(content)).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
})

test('without its library there are no thumbnails, which is said once, at the first', async () => {
  const reports: unknown[] = []
  const missing = new Error('Could not load the "sharp" module')
  const broken = createThumbnailer(
    1_000_000,
    (error) => reports.push(error),
    () => Promise.reject(missing),
  )
  expect(reports).toEqual([])
  const box: ThumbnailSpec = { width: 32, height: 32, method: 'scale', animated: false }
  const image = await plain(200, 100).png().toBuffer()
  const both = [1, 2].map(() => broken.render(async () => Readable.from([image]), box))
  for (const each of [...both, broken.render(async () => Readable.from([image]), box)]) {
    await expect(each).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
  }
  expect(reports).toEqual([missing])
})
