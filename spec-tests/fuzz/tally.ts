/** The outcome of a request: its status, `left` if the client left a long poll, or `none` without a response. */
export type Outcome = number | 'left' | 'none'

/** Counts of responses by operation. */
export type Tally = {
  /** `isChanged`: whether the request was made invalid. */
  count(operation: string, outcome: Outcome, isChanged: boolean): void
  total(): number
  /** Returns the share of requests with a status of 200 to 399: of all, and of unchanged ones. */
  accepted(): { all: number; unchanged: number }
  /** Returns operations of which no request was accepted. */
  neverAccepted(): string[]
  /** Returns a line for each operation. */
  table(): string
}

const COLUMNS = ['2xx', '3xx', '400', '401', '403', '404', '4xx', '502', '504', '5xx', 'left', 'none'] as const
type Column = (typeof COLUMNS)[number]
type Row = Map<Column, number>
const ACCEPTED = ['2xx', '3xx'] as const

export function createTally(operations: readonly string[]): Tally {
  const rows = new Map<string, Row>(operations.map((name) => [name, new Map()]))
  const unchanged: Row = new Map()
  let all = 0
  const total = (columns: readonly Column[]) => [...rows.values()].reduce((sum, row) => sum + sumOf(row, columns), 0)
  return {
    count(operation, outcome, isChanged) {
      all++
      const row = rows.get(operation) ?? new Map()
      rows.set(operation, row)
      for (const each of isChanged ? [row] : [row, unchanged]) {
        const column = columnOf(outcome)
        each.set(column, (each.get(column) ?? 0) + 1)
      }
    },
    total: () => all,
    accepted: () => ({
      all: total(ACCEPTED) / Math.max(1, all),
      unchanged: sumOf(unchanged, ACCEPTED) / Math.max(1, sumOf(unchanged, COLUMNS)),
    }),
    neverAccepted: () => [...rows].filter(([, row]) => sumOf(row, ACCEPTED) === 0).map(([name]) => name),
    table() {
      const sorted = [...rows].sort(([a], [b]) => compare(byPath(a), byPath(b)))
      const body = sorted.map(([name, row]) => {
        const cells = COLUMNS.map((column) => row.get(column) ?? '')
        return line(name, [sumOf(row, COLUMNS), ...cells])
      })
      return [line('operation', ['all', ...COLUMNS]), ...body].join('\n')
    },
  }
}

function sumOf(row: Row, columns: readonly Column[]): number {
  return columns.reduce((sum, column) => sum + (row.get(column) ?? 0), 0)
}

function line(name: string, cells: readonly unknown[]): string {
  return `${cells.map((cell) => String(cell).padStart(6)).join('')}  ${name}`
}

function byPath(name: string): string {
  return name.split(' ').reverse().join(' ')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function columnOf(outcome: Outcome): Column {
  if (typeof outcome !== 'number') return outcome
  const exact = String(outcome)
  if ((COLUMNS as readonly string[]).includes(exact)) return exact as Column
  return `${Math.floor(outcome / 100)}xx` as Column
}
