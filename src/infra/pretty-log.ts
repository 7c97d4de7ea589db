const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 36, info: 32, warn: 33, error: 31, fatal: 35 }
const GREY = 90

type LogLine = { level: string; time: string; msg?: string; err?: { stack?: string } } & Record<string, unknown>

/**
 * Formats a JSON line of the log for people: time of day, level, message, then the other fields; the stack of an error
 * follows below.
 */
export function prettyLine(line: string): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(line) as LogLine
  const head = `${paint(GREY, time.slice(11, 23))} ${paint(COLOURS[level] ?? GREY, level.padEnd(5))} ${plain(msg)}`
  const tail = Object.entries(fields).map(([name, value]) => paint(GREY, `${name}=`) + plain(text(value)))
  const stack = err?.stack
    ? `\n${err.stack
        .split('\n')
        .map((line) => `    ${plain(line)}`)
        .join('\n')}`
    : ''
  return `${[head, ...tail].join(' ')}${stack}\n`
}

function text(value: unknown): string {
  return typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)
}

/**
 * Text from outside must not control the terminal or look like other lines: control characters and direction marks are
 * escaped.
 */
function plain(written: string): string {
  return written.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function paint(colour: number, word: string): string {
  return `\u001b[${colour}m${word}\u001b[39m`
}
