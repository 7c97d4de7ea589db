/** Text as PostgreSQL can keep it: it has no NUL, which events may contain. */
export function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}
