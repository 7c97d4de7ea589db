const MAX_NAME_BYTES = 255

/** Like `storableText`, truncated to the size limit of an index entry. */
export function storableName(text: string): string {
  const whole = storableText(text)
  if (Buffer.byteLength(whole) <= MAX_NAME_BYTES) return whole
  // A truncated character becomes U+FFFD, which has three bytes.
  return Buffer.from(whole).toString('utf8', 0, MAX_NAME_BYTES - 3)
}

/** The part of a room's or member's name that lists show; the event has the whole text. */
const MAX_SHOWN = 4096

/** Like `storableText`, truncated to the part that lists show. */
export function shownText(text: string): string {
  const whole = storableText(text)
  // A plain slice would keep the long text in memory.
  return whole.length <= MAX_SHOWN ? whole : Buffer.from(whole.slice(0, MAX_SHOWN)).toString()
}

/** Removes NUL, which events may contain and PostgreSQL cannot store. */
export function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}
