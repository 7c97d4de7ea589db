import { z } from 'zod'
import { type Html, html } from '../../../core/text/html.ts'
import { MAX_TERM } from '../../admin/admin-fields.ts'
import { queryInteger } from '../../http/fields.ts'
import { attributesOf } from '../form.ts'
import type { AdminVisit } from './admin-page.ts'

/** Entries of a page of a list. */
export const ON_A_PAGE = 50

/** The query of a list. Values that no link or form of the page makes are ignored. */
export const listQuery = z.object({
  q: z
    .string()
    .transform((text) => text.trim().slice(0, MAX_TERM).replaceAll('\0', ''))
    .catch(''),
  from: queryInteger.catch(0),
  done: z.string().optional().catch(undefined),
})

/** Returns the schema of an order: the name of a column, with `-` in front for the descending order. */
export function orderQuery<const Order extends string>(orders: readonly Order[], first: Order | `-${Order}`) {
  type Directed = Order | `-${Order}`
  const known: readonly string[] = orders.flatMap((order) => [order, `-${order}`])
  return z
    .string()
    .optional()
    .transform((text): Directed => (text !== undefined && known.includes(text) ? (text as Directed) : first))
}

/** Splits an order into its column and its direction. */
export function parseOrder<Order extends string>(order: Order | `-${Order}`): { column: Order; isDescending: boolean } {
  const isDescending = order.startsWith('-')
  return { column: (isDescending ? order.slice(1) : order) as Order, isDescending }
}

/** A column of a table. `order`: its name in the query, if the list can be in its order. */
export type Column<Row> = { title: string; order?: string; isNumber?: boolean; cell(row: Row): Html | string }

/** Returns the address of the same list with another query; empty values are left out. */
export type ListLink = (change: Readonly<Record<string, string | number>>) => string

/** Returns the function for links of a list. */
export function listLink(path: string, query: Readonly<Record<string, unknown>>): ListLink {
  return (change) => {
    const { done: _done, ...kept } = { ...query, ...change } as Record<string, unknown>
    const given = Object.entries(kept).filter(([, value]) => value !== undefined && value !== '' && value !== 0)
    const text = `${new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])))}`
    return text === '' ? path : `${path}?${text}`
  }
}

/**
 * Renders a table, of which the first column names the row. On a phone each row becomes a block. The roles are given
 * because browsers forget those of a table that is no table in the layout.
 */
export function table<Row>(
  { texts }: Pick<AdminVisit, 'texts'>,
  {
    label,
    columns,
    rows,
    order,
    link,
  }: { label: string; columns: readonly Column<Row>[]; rows: readonly Row[]; order?: string; link?: ListLink },
): Html {
  if (rows.length === 0) return html`<p>${texts.admin.list.none}</p>`
  const heads = columns.map((column) => {
    const sorted = sortOf(column, order)
    const attributes = attributesOf({
      ...{ role: 'columnheader', scope: 'col', 'aria-sort': sorted },
      class: column.isNumber ? 'number' : undefined,
    })
    return html`<th${attributes}>${headOf(column, { sorted, link })}</th>`
  })
  const body = rows.map((row) => {
    const [first, ...others] = columns.map((column) => ({ column, content: column.cell(row) }))
    const cells = others.map(
      ({ column: { title, isNumber }, content }) =>
        html`<td${attributesOf({ role: 'cell', 'data-label': title, class: isNumber ? 'number' : undefined })}>${content}</td>`,
    )
    return html`<tr role="row"><th role="rowheader" scope="row">${first!.content}</th>${cells}</tr>\n`
  })
  return html`<table role="table" class="list" aria-label="${label}">
<thead role="rowgroup"><tr role="row">${heads}</tr></thead>
<tbody role="rowgroup">${body}</tbody>
</table>`
}

function sortOf(column: { order?: string }, order: string | undefined): 'ascending' | 'descending' | undefined {
  if (column.order === undefined || order === undefined) return undefined
  if (order === column.order) return 'ascending'
  return order === `-${column.order}` ? 'descending' : undefined
}

function headOf(
  { title, order }: { title: string; order?: string },
  { sorted, link }: { sorted: string | undefined; link: ListLink | undefined },
): Html {
  if (order === undefined || !link) return html`${title}`
  const next = sorted === 'ascending' ? `-${order}` : order
  return html`<a href="${link({ sort: next, from: 0 })}">${title}</a>`
}

/** A choice of the form above a list. */
type ListFilter = { name: string; label: string; value: string; options: readonly { value: string; text: string }[] }

/** A text field of the form above a list. */
type ListField = { name: string; label: string; value: string; hint?: string }

/** Renders the form above a list, which works by GET. `hidden`: further values of the query that stay. */
export function listForm(
  { texts }: Pick<AdminVisit, 'texts'>,
  {
    path,
    fields = [],
    filters = [],
    hidden = {},
  }: {
    path: string
    fields?: readonly ListField[]
    filters?: readonly ListFilter[]
    hidden?: Readonly<Record<string, string>>
  },
): Html {
  const kept = Object.entries(hidden).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  const texted = fields.map(({ label, hint, ...given }) => {
    const attributes = { ...given, placeholder: hint, maxlength: MAX_TERM, spellcheck: 'false' }
    return html`<label>${label}<input${attributesOf(attributes)}></label>`
  })
  const choices = filters.map(({ name, label, value, options }) => {
    const items = options.map(
      (option) =>
        html`<option${attributesOf({ value: option.value, selected: option.value === value })}>${option.text}</option>`,
    )
    return html`<label>${label}<select name="${name}">${items}</select></label>`
  })
  return html`<search><form class="filter" action="${path}">${kept}${texted}${choices}<button class="secondary">${texts.admin.list.submit}</button></form></search>`
}

/** The search field of a list. `hint`: what is searched. */
export function searchField({ texts }: Pick<AdminVisit, 'texts'>, value: string, hint: string): ListField {
  return { name: 'q', label: texts.admin.list.search, value, hint }
}

/** The choice of an order, for phones, where the table has no heads. */
export function orderFilter(
  { texts }: Pick<AdminVisit, 'texts'>,
  { value, columns }: { value: string; columns: readonly { title: string; order?: string }[] },
): ListFilter {
  const { order, descending } = texts.admin.list
  const options = columns.flatMap(({ title, order: name }) =>
    name === undefined
      ? []
      : [
          { value: name, text: title },
          { value: `-${name}`, text: descending(title) },
        ],
  )
  return { name: 'sort', label: order, value, options }
}

/** Renders which entries are shown, and the links to the pages before and after. `total` null: not known. */
export function pageLinks(
  { texts, language }: Pick<AdminVisit, 'texts' | 'language'>,
  { from, count, total, hasMore = total !== null && from + count < total, link }: PageLinks,
): Html {
  const { pages, before, after, range } = texts.admin.list
  const number = (value: number) => numberText({ language }, value)
  const links = [
    ...(from > 0
      ? [html`<li><a href="${link({ from: Math.max(from - ON_A_PAGE, 0) })}" rel="prev">${before}</a></li>`]
      : []),
    ...(hasMore ? [html`<li><a href="${link({ from: from + ON_A_PAGE })}" rel="next">${after}</a></li>`] : []),
  ]
  const shown =
    count === 0
      ? html``
      : html`<p>${range(number(from + 1), number(from + count), total === null ? '' : number(total))}</p>`
  return html`<div class="pages">${shown}${links.length === 0 ? '' : html`<nav aria-label="${pages}"><ul>${links}</ul></nav>`}</div>`
}

type PageLinks = { from: number; count: number; total: number | null; hasMore?: boolean; link: ListLink }

/**
 * Renders the links of a list whose pages begin after the last entry of the page before. `next`: that entry; null: the
 * page is the last one. Default labels: of lists that begin with the newest entry.
 */
export function keysetLinks({ texts }: Pick<AdminVisit, 'texts'>, { isFirst, next, link, labels }: KeysetLinks): Html {
  const { pages, newest, older } = texts.admin.list
  const links = [
    ...(isFirst ? [] : [html`<li><a href="${link({ from: '' })}">${labels?.first ?? newest}</a></li>`]),
    ...(next === null
      ? []
      : [html`<li><a href="${link({ from: next })}" rel="next">${labels?.after ?? older}</a></li>`]),
  ]
  return links.length === 0 ? html`` : html`<div class="pages"><nav aria-label="${pages}"><ul>${links}</ul></nav></div>`
}

type KeysetLinks = {
  isFirst: boolean
  next: number | string | null
  link: ListLink
  labels?: { first: string; after: string }
}

/** Returns a number in the reader's language. */
export function numberText({ language }: Pick<AdminVisit, 'language'>, value: number): string {
  return new Intl.NumberFormat(language).format(value)
}

/** Renders a state that needs to be seen, such as that of a locked user. */
export function badge(text: string, look: 'plain' | 'good' | 'bad' = 'plain'): Html {
  return html`<span class="badge ${look}">${text}</span> `
}

/** Renders facts: what, and how it is. */
export function facts(pairs: readonly (readonly [string, Html | string | undefined])[]): Html {
  const rows = pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [html`<div><dt>${name}</dt><dd>${value}</dd></div>`],
  )
  return html`<dl class="facts">${rows}</dl>`
}
