import type { ThumbnailSpec } from '../../infra/media/thumbnails.ts'

type Size = { width: number; height: number }

const LARGEST = 8192
const CROP_SHAPES = 48

/**
 * Returns the thumbnail to make for a request, at least as large as requested. There are few possible ones, so that a
 * file gets a bounded number for any requested sizes: the smallest sufficient configured size of the method or, beyond
 * the largest, that size doubled until it suffices. A crop with another aspect ratio than the configured sizes has the
 * longer side of such a size, and its ratio in steps.
 */
export function thumbnailStep(
  request: ThumbnailSpec,
  configured: readonly (Size & { method: 'crop' | 'scale' })[],
): ThumbnailSpec {
  const wanted = { width: Math.min(request.width, LARGEST), height: Math.min(request.height, LARGEST) }
  const ofMethod = configured.filter(({ method }) => method === request.method)
  const sizes = (ofMethod.length > 0 ? ofMethod : configured).toSorted((a, b) => longest(a) - longest(b))
  const size = request.method === 'crop' ? cropStep(wanted, sizes) : scaleStep(wanted, sizes)
  return { ...size, method: request.method, animated: request.animated }
}

function scaleStep(wanted: Size, sizes: readonly Size[]): Size {
  const fitting = sizes.find((size) => covers(size, wanted))
  let { width, height } = fitting ?? sizes.at(-1) ?? { width: 32, height: 32 }
  while (!covers({ width, height }, wanted)) [width, height] = [width * 2, height * 2]
  return { width, height }
}

function cropStep(wanted: Size, sizes: readonly Size[]): Size {
  const same = sizes.find((size) => covers(size, wanted) && size.width * wanted.height === size.height * wanted.width)
  if (same) return { width: same.width, height: same.height }
  const sides = sizes.map(longest).map((side) => ({ width: side, height: side }))
  const side = scaleStep({ width: longest(wanted), height: longest(wanted) }, sides).width
  const shape = Math.ceil((CROP_SHAPES * Math.min(wanted.width, wanted.height)) / longest(wanted))
  const shorter = Math.ceil((side * shape) / CROP_SHAPES)
  return wanted.width >= wanted.height ? { width: side, height: shorter } : { width: shorter, height: side }
}

function covers(size: Size, wanted: Size): boolean {
  return size.width >= wanted.width && size.height >= wanted.height
}

function longest(size: Size): number {
  return Math.max(size.width, size.height)
}
