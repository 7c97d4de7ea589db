import { z } from 'zod'
import type { App } from '../../../app.ts'
import { byteSizeText } from '../../../core/text/byte-size.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { FigureUnit } from '../../../services/figures/figure-series.ts'
import {
  FIGURE_RANGES,
  type FigureRange,
  type Figures,
  readFigures,
  spanOfRange,
} from '../../../services/figures/read-figures.ts'
import { moment } from '../moment.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { type Column, listForm, table } from './list.ts'
import { type Chart, chartsOf, type Line, LOAD_VIEWS } from './load-charts.ts'
import { LOAD_PATH } from './paths.ts'

const RANGES = Object.keys(FIGURE_RANGES) as FigureRange[]
const query = z.object({
  view: z.enum(LOAD_VIEWS).catch('load'),
  range: z.enum(RANGES).catch('hour'),
})
type Query = z.output<typeof query>

/** Load of the server over time, as charts. Each has a summary that needs no script, and a page with all values. */
export const getLoadPage = adminPage({
  method: 'GET',
  path: LOAD_PATH,
  section: 'load',
  query,
  async handle(visit, app) {
    const { texts } = visit
    const { load: words, sections } = texts.admin
    const figures = await read(app, visit.query)
    const charts = chartsOf(texts, visit.query.view, figures)
    const shown =
      charts.length === 0
        ? html`<p>${words.none}</p>`
        : html`<div class="charts">${charts.map((chart) => section(visit, figures, chart))}</div>`
    const body = html`${app.config.figures.enabled ? '' : html`<p role="alert">${words.disabled}</p>`}
${listForm(visit, { path: LOAD_PATH, filters: filters(visit) })}
${shown}`
    return { title: sections.load, body, hasCharts: charts.length > 0 }
  },
})

/** All values of a chart. */
export const getLoadValuesPage = adminPage({
  method: 'GET',
  path: `${LOAD_PATH}/:chart`,
  section: 'load',
  params: z.object({ chart: z.string() }),
  query,
  async handle(visit, app) {
    const { texts, params } = visit
    const { load: words, sections, list } = texts.admin
    const figures = await read(app, visit.query)
    const chart = chartsOf(texts, visit.query.view, figures).find(({ name }) => name === params.chart)
    const path = `${LOAD_PATH}/${encodeURIComponent(params.chart)}`
    const back = { path: addressOf(LOAD_PATH, visit.query), label: sections.load }
    const body = html`${listForm(visit, { path, filters: filters(visit) })}
${chart ? valuesOf(visit, figures, chart) : html`<p>${list.none}</p>`}`
    return { title: chart?.title ?? words.none, body, back }
  },
})

function read(app: App, { view, range }: Query): Promise<Figures> {
  const of = view === 'processes' ? 'load' : view
  return readFigures(app, { of, ...spanOfRange(app, range), eachProcess: view === 'processes' })
}

const addressOf = (path: string, { view, range }: Query) => `${path}?view=${view}&range=${range}`

function filters({ query: { view, range }, texts }: AdminVisit<unknown, Query>) {
  const { load: words } = texts.admin
  return [
    {
      ...{ name: 'view', label: words.view, value: view },
      options: LOAD_VIEWS.map((value) => ({ value, text: words.views[value] })),
    },
    {
      ...{ name: 'range', label: words.range, value: range },
      options: RANGES.map((value) => ({ value, text: words.ranges[value] })),
    },
  ]
}

function section(
  visit: AdminVisit<unknown, Query>,
  { from, step }: Figures,
  { name, title, unit, lines }: Chart,
): Html {
  const { load: words } = visit.texts.admin
  const id = `chart-${name}`
  const data = JSON.stringify({
    ...{ from, step: step * 1000, unit, time: words.time },
    lines: lines.map(({ label, values }) => ({ label, values: values.map(rounded) })),
  })
  const columns = [
    { title: words.line, cell: ({ label }: Line) => html`<span class="text">${label}</span>` },
    ...(['latest', 'average', 'peak'] as const).map((kind) => ({
      ...{ title: words[kind], isNumber: true },
      cell: ({ values }: Line) => figureText(visit, unit, SUMMARIES[kind](values.filter((value) => value !== null))),
    })),
  ]
  const all = addressOf(`${LOAD_PATH}/${name}`, visit.query)
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
<div class="chart" data-chart="${data}" aria-hidden="true"></div>
${table(visit, { label: title, columns, rows: lines })}
<p><a href="${all}" aria-label="${words.all}: ${title}">${words.all}</a></p></section>
`
}

const SUMMARIES = {
  latest: (values: readonly number[]) => values.at(-1),
  average: (values: readonly number[]) =>
    values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length,
  peak: (values: readonly number[]) => (values.length === 0 ? undefined : Math.max(...values)),
}

/** Four digits are more than a chart shows. */
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4))
}

/** The newest step first. */
function valuesOf(visit: AdminVisit<unknown, Query>, { times }: Figures, { title, unit, lines }: Chart): Html {
  const { load: words } = visit.texts.admin
  const columns: Column<{ time: number; place: number }>[] = [
    { title: words.time, cell: ({ time }) => moment(visit, time) },
    ...lines.map(({ label, values }) => ({
      ...{ title: label, isNumber: true },
      cell: ({ place }: { place: number }) => figureText(visit, unit, values[place] ?? undefined),
    })),
  ]
  const rows = times.map((time, place) => ({ time, place })).toReversed()
  return table(visit, { label: title, columns, rows })
}

function figureText({ language }: Pick<AdminVisit, 'language'>, unit: FigureUnit, value: number | undefined): string {
  if (value === undefined) return ''
  const number = (shown: number) => new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(shown)
  if (unit === 'per_second') return `${number(value)}/s`
  if (unit === 'bytes_per_second') return `${byteSizeText(value)}/s`
  if (unit === 'bytes') return byteSizeText(value)
  if (unit === 'seconds') return value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`
  return number(value)
}
