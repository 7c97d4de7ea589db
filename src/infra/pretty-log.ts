const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 36, info: 32, warn: 33, error: 31, fatal: 35 }
const GREY = 90

type LogLine = { level: string; time: string; msg?: string; err?: { stack?: string } } & Record<string, unknown>

/** One JSON line of the log as a line for people: time of day, level, message, then the other fields; an error's stack goes below. */
export function prettyLine(line: string): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(line) as LogLine
  const head = `${paint(GREY, time.slice(11, 23))} ${paint(COLOURS[level] ?? GREY, level.padEnd(5))} ${msg}`
  const tail = Object.entries(fields).map(([name, value]) => paint(GREY, `${name}=`) + text(value))
  const stack = err?.stack ? `\n${err.stack.replace(/^/gm, '    ')}` : ''
  return `${[head, ...tail].join(' ')}${stack}\n`
}

function text(value: unknown): string {
  return typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)
}

function paint(colour: number, word: string): string {
  return `\u001b[${colour}m${word}\u001b[39m`
}
