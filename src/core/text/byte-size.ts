const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Returns a number of bytes for people, such as "1.5 GiB". */
export function byteSizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power]}`
}
