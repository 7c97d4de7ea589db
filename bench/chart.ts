import { text } from 'node:stream/consumers'

/**
 * Draws the ratios of a table of `npm run bench -- --against …` as bars on a logarithmic scale: `node bench/chart.ts
 * TITLE < TABLE > FILE.svg`. Rows whose unit is 1/s are inverted, so that a bar to the right always means that the
 * first server is better.
 */
type Row = { name: string; ratio: number }

const ROW_HEIGHT = 22
const [LABELS, BARS, TOP, EDGE] = [360, 340, 44, 70]

/** Reads the rows of a Markdown table, whose last column is the ratio of the other server to the first. */
function parseRows(table: string): Row[] {
  const found: Row[] = []
  for (const line of table.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim())
    const name = cells[1] ?? ''
    const ratio = Number(cells.at(-2))
    // A ratio of ratios says nothing about the servers.
    if (!/\(.+\)$/.test(name) || name.endsWith('(×)') || !(ratio > 0)) continue
    found.push({
      name: name.replace(' (1/s)', '').replace(/ \((ms|MiB)\)$/, ''),
      ratio: name.endsWith('(1/s)') ? 1 / ratio : ratio,
    })
  }
  return found
}

function escapeText(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function draw(title: string, rows: readonly Row[]): string {
  const decades = Math.ceil(Math.log10(Math.max(10, ...rows.map(({ ratio }) => ratio))))
  const below = Math.ceil(-Math.log10(Math.min(1, ...rows.map(({ ratio }) => ratio))))
  const place = (ratio: number) => LABELS + (BARS * (Math.log10(ratio) + below)) / (decades + below)
  const height = TOP + rows.length * ROW_HEIGHT + 10
  const width = LABELS + BARS + EDGE
  const lines = Array.from({ length: decades + below + 1 }, (_, step) => {
    const ratio = 10 ** (step - below)
    const x = place(ratio).toFixed(1)
    return `<path d="M${x} ${TOP - 6}V${height - 8}" stroke="#888" stroke-opacity="${ratio === 1 ? 1 : 0.3}"/>
<text x="${x}" y="${TOP - 10}" text-anchor="middle">${Number(ratio.toPrecision(1))}×</text>`
  })
  const bars = rows.map(({ name, ratio }, number) => {
    const y = TOP + number * ROW_HEIGHT
    const [from, to] = [place(Math.min(1, ratio)), place(Math.max(1, ratio))]
    return `<text x="${LABELS - 8}" y="${y + 15}" text-anchor="end">${escapeText(name)}</text>
<rect x="${from.toFixed(1)}" y="${y + 4}" width="${Math.max(1, to - from).toFixed(1)}" height="14" fill="${ratio < 1 ? '#c2410c' : '#0f766e'}"/>
<text x="${(to + 5).toFixed(1)}" y="${y + 15}">${Number(ratio.toPrecision(2))}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">
<title>${escapeText(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="18" font-weight="bold">${escapeText(title)}</text>
${[...lines, ...bars].join('\n')}
</svg>
`
}

process.stdout.write(draw(process.argv[2] ?? 'Ratios', parseRows(await text(process.stdin))))
