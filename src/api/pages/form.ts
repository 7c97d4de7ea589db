import { type Html, html } from '../../core/text/html.ts'
import { csrfToken } from './cookies.ts'
import type { Visit } from './page.ts'

/** A form of a page. */
export type Form = {
  /** Default: the page's own path. */
  action?: string
  fields: Html | readonly Html[]
  /** The text of the button. */
  submit: string
  /** The name of the button for screen readers, if its text alone does not say what it does. */
  label?: string
  /** Classes of the button, such as `secondary`. */
  look?: 'secondary' | 'contrast' | 'outline' | 'outline secondary' | 'danger' | 'outline danger'
  /** The value of the field `do`, for pages with several forms. */
  what?: string
  /** Whether the form has files. */
  upload?: boolean
}

type Visitor = Pick<Visit, 'browser'>

/**
 * Renders a form that is sent with POST, with the proof of its origin: a field, or in the query if the form has files.
 */
export function form({ browser }: Visitor, { action, fields, submit, label, look, what, upload = false }: Form): Html {
  const csrf = csrfToken(browser.cookie)
  const attributes = attributesOf({
    method: 'post',
    action: upload ? `${action ?? ''}?csrf=${csrf}` : action,
    enctype: upload && 'multipart/form-data',
  })
  const proof = upload ? html`` : html`<input type="hidden" name="csrf" value="${csrf}">`
  const does = what === undefined ? html`` : html`<input type="hidden" name="do" value="${what}">`
  return html`<form${attributes}>
${proof}${does}
${Array.isArray(fields) ? fields : html`${fields as Html}`}
<button${attributesOf({ class: look, 'aria-label': label })}>${submit}</button>
</form>`
}

/** Renders a labelled field. */
export function field(
  label: string,
  attributes: Readonly<Record<string, string | number | boolean | undefined>>,
  { hint, error }: { hint?: string | undefined; error?: string | undefined } = {},
): Html {
  const id = `field-${attributes.name}`
  const help = error ?? hint
  const described = help === undefined ? {} : { 'aria-describedby': `${id}-help` }
  const invalid = error === undefined ? {} : { 'aria-invalid': 'true' }
  const small = help === undefined ? html`` : html`<small id="${id}-help">${help}</small>`
  return html`<label for="${id}">${label}</label>
<input${attributesOf({ id, ...attributes, ...described, ...invalid })}>${small}
`
}

/** Renders a labelled field for text of several lines. */
export function textarea(
  label: string,
  attributes: Readonly<Record<string, string | number | boolean | undefined>> & { name: string },
  { value, hint }: { value: string; hint?: string },
): Html {
  const id = `field-${attributes.name}`
  const described = hint === undefined ? {} : { 'aria-describedby': `${id}-help` }
  const small = hint === undefined ? html`` : html`<small id="${id}-help">${hint}</small>`
  return html`<label for="${id}">${label}</label>
<textarea${attributesOf({ id, ...attributes, ...described })}>
${value}</textarea>${small}
`
}

/** Renders a check box with its label. */
export function checkbox(
  label: string,
  { name, ...attributes }: Readonly<Record<string, string | boolean>> & { name: string },
  { hint }: { hint?: string } = {},
): Html {
  const id = `field-${name}`
  const described = hint === undefined ? {} : { 'aria-describedby': `${id}-help` }
  const small = hint === undefined ? html`` : html`<small id="${id}-help">${hint}</small>`
  return html`<label for="${id}"><input${attributesOf({ type: 'checkbox', id, name, ...attributes, ...described })}>${label}</label>${small}
`
}

/** Renders a choice with its label. */
export function select(
  label: string,
  { name, options, value }: { name: string; options: readonly { value: string; text: string }[]; value: string },
): Html {
  const id = `field-${name}`
  const items = options.map(
    (option) =>
      html`<option${attributesOf({ value: option.value, selected: option.value === value })}>${option.text}</option>`,
  )
  return html`<label for="${id}">${label}</label>
<select${attributesOf({ id, name })}>${items}</select>
`
}

/** Renders attributes; `true` stands without a value, `false` and undefined not at all. */
export function attributesOf(attributes: Readonly<Record<string, string | number | boolean | undefined>>): Html[] {
  return Object.entries(attributes).flatMap(([name, value]) => {
    if (value === undefined || value === false) return []
    return value === true ? [html` ${name}`] : [html` ${name}="${value}"`]
  })
}

/** Renders a message that something was done; nothing without a text. */
export function notice(text: string | undefined): Html {
  return text === undefined ? html`` : html`<p role="status">${text}</p>`
}

/** Renders an alert; nothing without a text. */
export function alert(text: string | undefined): Html {
  return text === undefined ? html`` : html`<p role="alert">${text}</p>`
}
