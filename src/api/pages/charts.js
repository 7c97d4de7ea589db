/* global uPlot */
/** Draws the charts of a page with uPlot: each from the JSON of an element with `data-chart`. */
const dark = matchMedia('(prefers-color-scheme: dark)')
const language = document.documentElement.lang
/** Line colours that differ in lightness too, for both colour schemes. */
const LIGHT = [
  '#0b6bb5',
  '#b3261e',
  '#1b6e3c',
  '#8a5a00',
  '#6a3fb5',
  '#00687a',
  '#a02f70',
  '#4a5568',
  '#5a7300',
  '#7a3b1d',
  '#3949ab',
  '#555',
]
const DARK = [
  '#5ab0f2',
  '#ff897d',
  '#7fd8a2',
  '#f0c05a',
  '#c3a6ff',
  '#6fd6e8',
  '#ff9ed2',
  '#b0bccf',
  '#c5dd6a',
  '#e0a68a',
  '#9fa8ff',
  '#ccc',
]

const HEIGHT = 200
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power)

const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, notation: 'compact' })
const plain = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 })
const FORMATS = {
  per_second: (value) => `${short.format(value)}/s`,
  bytes_per_second: (value) => `${bytesText(value)}/s`,
  seconds: (value) => (value < 1 ? `${plain.format(value * 1000)} ms` : `${plain.format(value)} s`),
  bytes: bytesText,
  processors: (value) => plain.format(value),
  count: (value) => short.format(value),
}

function bytesText(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10))
  return `${plain.format(value / 1024 ** power)} ${units[power]}`
}

const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', timeZone: 'UTC' })
const month = new Intl.DateTimeFormat(language, { month: 'short', year: 'numeric', timeZone: 'UTC' })
const hour = new Intl.DateTimeFormat(language, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
  timeZone: 'UTC',
})

/** Labels of the time axis: `increment` seconds are between two of them. */
function timeTexts(_chart, times, _axis, _space, increment) {
  const format = (seconds) =>
    increment >= 28 * 86400 ? month : increment >= 86400 || seconds % 86400 === 0 ? day : hour
  return times.map((seconds) => format(seconds).format(seconds * 1000))
}

/** Returns the places of values without neighbours, which no line shows. */
function lonely(values) {
  const places = [...values.keys()]
  return places.filter(
    (at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null,
  )
}

function draw(element) {
  const { from, step, unit, time, lines } = JSON.parse(element.dataset.chart)
  const style = getComputedStyle(document.documentElement)
  const text = style.getPropertyValue('--pico-color').trim()
  const grid = { stroke: style.getPropertyValue('--pico-muted-border-color').trim(), width: 1 }
  const colours = dark.matches ? DARK : LIGHT
  const format = FORMATS[unit]
  const times = lines[0].values.map((_, place) => (from + place * step) / 1000)
  const axis = { stroke: text, grid, ticks: grid }
  const values = { ...axis, size: 72, values: (_, splits) => splits.map(format) }
  const isBytes = unit === 'bytes' || unit === 'bytes_per_second'
  const options = {
    width: element.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.05 : 1] } },
    axes: [{ ...axis, values: timeTexts }, isBytes ? { ...values, incrs: POWERS_OF_TWO } : values],
    series: [
      {
        label: time,
        value: (_, seconds) =>
          seconds === null ? '' : `${new Date(seconds * 1000).toLocaleString(language, { timeZone: 'UTC' })} UTC`,
      },
      ...lines.map(({ label }, place) => ({
        label,
        stroke: colours[place % colours.length],
        width: 1.5,
        dash: place >= colours.length ? [6, 4] : undefined,
        points: { show: true, filter: (chart, series) => lonely(chart.data[series]) },
        value: (_, value) => (value === null || value === undefined ? '' : format(value)),
      })),
    ],
  }
  return new uPlot(options, [times, ...lines.map(({ values }) => values)], element)
}

const charts = [...document.querySelectorAll('[data-chart]')].map((element) => ({ element, chart: draw(element) }))

addEventListener('resize', () => {
  for (const { element, chart } of charts) chart.setSize({ width: element.clientWidth, height: HEIGHT })
})

dark.addEventListener('change', () => {
  for (const entry of charts) {
    entry.chart.destroy()
    entry.chart = draw(entry.element)
  }
})
