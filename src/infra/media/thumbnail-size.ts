type Size = { width: number; height: number }

/**
 * Returns the size of an image's thumbnail for a box: `scale` keeps the aspect ratio and fits into the box, `crop` has
 * the aspect ratio of the box. Never larger than the image: https://spec.matrix.org/v1.19/client-server-api/#thumbnails
 */
export function thumbnailSize(image: Size, box: Size & { method: 'crop' | 'scale' }): Size {
  if (box.method === 'scale') return shrink(image, Math.min(1, box.width / image.width, box.height / image.height))
  // Cropping a smaller image would only remove parts of it.
  if (image.width <= box.width && image.height <= box.height) return { width: image.width, height: image.height }
  return shrink(box, Math.min(1, image.width / box.width, image.height / box.height))
}

function shrink({ width, height }: Size, factor: number): Size {
  return { width: Math.max(1, Math.round(width * factor)), height: Math.max(1, Math.round(height * factor)) }
}
