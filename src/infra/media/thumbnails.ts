import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Metadata, Sharp, SharpConstructor } from 'sharp'
import { MatrixError, TooLargeError } from '../../core/errors.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import { thumbnailSize } from './thumbnail-size.ts'

/** A requested thumbnail: a box in pixels, https://spec.matrix.org/v1.19/client-server-api/#thumbnails */
export type ThumbnailSpec = { width: number; height: number; method: 'crop' | 'scale'; animated: boolean }

/** `bytes` null: the thumbnail would equal the image. */
export type RenderedThumbnail = { bytes: Buffer | null; contentType: string }

export type Thumbnailer = {
  /**
   * Renders a thumbnail, upright and without metadata, which may contain the place of a photograph. Throws M_TOO_LARGE
   * for an image with too many pixels, and M_UNKNOWN for an unreadable image, or for all while the library does not
   * load.
   */
  render(load: () => Promise<Readable>, spec: ThumbnailSpec): Promise<RenderedThumbnail>
  /** Returns the size of an image when it is upright; undefined if it is unreadable, or the library does not load. */
  measure(image: Buffer): Promise<{ width: number; height: number } | undefined>
}

/** Image types with thumbnails, as detected from the content. */
export const IMAGE_TYPES: readonly string[] = [
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/gif',
  'image/webp',
  'image/avif',
]

/** Formats that may be served unchanged as thumbnails. */
const SERVED_FORMATS = new Map([
  ['jpeg', 'image/jpeg'],
  ['png', 'image/png'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
])
const LOADERS = ['JpegBuffer', 'PngBuffer', 'WebpBuffer', 'NsgifBuffer', 'HeifBuffer']
// Each uses one of libuv's four threads, which file system and DNS need as well.
const AT_ONCE = 2
const TIMEOUT_SECONDS = 20

/**
 * `maxPixels`: larger images are refused. For animations all frames count; beyond the limit the thumbnail is static.
 * `reportMissing` receives once the reason why the library does not load: it is native code, which may have been
 * installed for another machine.
 */
export function createThumbnailer(
  maxPixels: number,
  reportMissing: (error: unknown) => void,
  load = loadLibrary,
): Thumbnailer {
  const inTurn = createConcurrencyLimit(AT_ONCE)
  let library: Promise<SharpConstructor | undefined> | undefined
  const loaded = () => (library ??= load().catch((error) => void reportMissing(error)))
  return {
    measure: (image) =>
      inTurn(async () => {
        const metadata = await (await loaded())?.(image, { limitInputPixels: false })
          .metadata()
          .catch(() => undefined)
        return metadata && { width: metadata.autoOrient.width, height: metadata.autoOrient.height }
      }),
    render: (open, spec) =>
      inTurn(async () => {
        const sharp = await loaded()
        if (!sharp) throw new MatrixError(400, 'M_UNKNOWN', 'This server cannot make thumbnails')
        const input = await buffer(await open())
        try {
          return await render(sharp, { input, spec, maxPixels })
        } catch (error) {
          throw asMatrixError(error)
        }
      }),
  }
}

/**
 * Loaded with the first image, because it takes 12 MiB. Decodes only the formats above, and caches nothing between
 * images.
 */
export async function loadLibrary(): Promise<SharpConstructor> {
  const { default: sharp } = await import('sharp')
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: LOADERS.map((loader) => `VipsForeignLoad${loader}`) })
  sharp.concurrency(1)
  sharp.cache(false)
  return sharp
}

type Rendering = { input: Buffer; spec: ThumbnailSpec; maxPixels: number }

async function render(sharp: SharpConstructor, { input, spec, maxPixels }: Rendering): Promise<RenderedThumbnail> {
  const metadata = await sharp(input, { limitInputPixels: false }).metadata()
  const { width, height } = metadata.autoOrient
  if (width * height > maxPixels) throw new TooLargeError('The image has too many pixels for a thumbnail')
  const frames = metadata.pages ?? 1
  const animated = spec.animated && frames > 1 && isUpright(metadata) && width * height * frames <= maxPixels
  const target = thumbnailSize({ width, height }, spec)
  const sameSize = target.width === width && target.height === height
  const type = SERVED_FORMATS.get(metadata.format)
  if (sameSize && type !== undefined && (animated || frames === 1) && !hasPersonalMetadata(metadata)) {
    return { bytes: null, contentType: type }
  }
  const image = sharp(input, { animated, limitInputPixels: maxPixels, failOn: 'error' })
    .timeout({ seconds: TIMEOUT_SECONDS })
    .autoOrient()
    .resize({ ...target, fit: spec.method === 'crop' ? 'cover' : 'fill' })
  return encode(image, metadata, animated)
}

function isUpright({ orientation }: Metadata): boolean {
  return (orientation ?? 1) === 1
}

function hasPersonalMetadata({ exif, xmp, iptc, comments }: Metadata): boolean {
  return [exif, xmp, iptc, comments].some((found) => found !== undefined)
}

async function encode(image: Sharp, metadata: Metadata, animated: boolean): Promise<RenderedThumbnail> {
  if (animated) return { bytes: await image.webp().toBuffer(), contentType: 'image/webp' }
  // Drawings are usually PNG and GIF: they stay sharp, as do transparent images.
  const keepSharp = metadata.hasAlpha || metadata.format === 'png' || metadata.format === 'gif'
  if (keepSharp) return { bytes: await image.png().toBuffer(), contentType: 'image/png' }
  return { bytes: await image.jpeg({ quality: 82 }).toBuffer(), contentType: 'image/jpeg' }
}

function asMatrixError(error: unknown): MatrixError {
  if (error instanceof MatrixError) return error
  const message = error instanceof Error ? error.message : ''
  if (/pixel limit|timeout/.test(message)) return new TooLargeError('The image is too large for a thumbnail')
  return new MatrixError(400, 'M_UNKNOWN', 'Thumbnails of this content are not supported')
}
