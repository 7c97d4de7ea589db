const MAX_LENGTH = 255

/**
 * A file name as it may be offered for saving: no folders, no control characters, whole Unicode characters only.
 * Undefined when nothing of it is left.
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
