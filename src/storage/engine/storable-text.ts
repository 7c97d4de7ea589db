const MAX_NAME_BYTES = 255

/** As `storableText`, cut to what an index can keep. */
export function storableName(text: string): string {
  const whole = storableText(text)
  if (Buffer.byteLength(whole) <= MAX_NAME_BYTES) return whole
  // A character that is cut in two becomes U+FFFD, of three bytes.
  return Buffer.from(whole).toString('utf8', 0, MAX_NAME_BYTES - 3)
}

/** What lists show of a room or a member; the event has the whole text. */
const MAX_SHOWN = 4096

/** As `storableText`, as much of it as lists show. */
export function shownText(text: string): string {
  const whole = storableText(text)
  // A slice alone would keep the long text in memory.
  return whole.length <= MAX_SHOWN ? whole : Buffer.from(whole.slice(0, MAX_SHOWN)).toString()
}

/** Text as PostgreSQL can keep it: it has no NUL, which events may contain. */
export function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}
