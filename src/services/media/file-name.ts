const MAX_LENGTH = 255

/**
 * Sanitizes a file name for downloads: no folders, no control characters, well-formed Unicode. Returns undefined if
 * nothing is left.
 */
export function safeFileName(name: string | undefined): string | undefined {
  const last = name?.split(/[/\\]/).at(-1) ?? ''
  const clean = last
    .replace(/\p{Cc}/gu, '')
    .slice(0, MAX_LENGTH)
    .toWellFormed()
    .trim()
  return /^\.*$/.test(clean) ? undefined : clean
}
