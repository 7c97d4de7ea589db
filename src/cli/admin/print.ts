/**
 * Prints a value as JSON if asked for, otherwise the text that describes it, without control characters: users and other
 * servers wrote parts of it.
 */
export function print<Value>(
  value: Value,
  { json, describe }: { json?: boolean | undefined; describe: (value: Value) => string },
): void {
  console.log(json ? JSON.stringify(value) : describe(value).split('\n').map(withoutControls).join('\n'))
}

function withoutControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}

/** Renders rows in columns, under their headings. Control characters are left out: names come from users. */
export function columns(headings: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const texts = [headings, ...rows].map((row) => row.map(cell))
  const widths = headings.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)))
  return texts
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Renders the fields of an object, a line each. */
export function fields(value: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(value).map((name) => name.length))
  return Object.entries(value)
    .map(([name, field]) => `${name.padEnd(width)}  ${cell(field)}`)
    .join('\n')
}

/** Renders a time in milliseconds since 1970, or null, as a cell. */
export function time(ms: number | null | undefined): string {
  return ms ? `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC` : '-'
}

function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return withoutControls(text)
}
