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
  /** Classes of the button, such as `secondary`. */
  look?: 'secondary' | 'contrast' | 'outline'
  /** The value of the field `do`, for pages with several forms. */
  what?: string
}

type Visitor = Pick<Visit, 'browser'>

/** Renders a form that is sent with POST, with the field that proves its origin. */
export function form({ browser }: Visitor, { action, fields, submit, look, what }: Form): Html {
  const target = action === undefined ? html`` : html` action="${action}"`
  const button = look === undefined ? html`` : html` class="${look}"`
  const does = what === undefined ? html`` : html`<input type="hidden" name="do" value="${what}">`
  return html`<form method="post"${target}>
<input type="hidden" name="csrf" value="${csrfToken(browser.cookie)}">${does}
${Array.isArray(fields) ? fields : html`${fields as Html}`}
<button${button}>${submit}</button>
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

/** Renders attributes; `true` stands without a value, `false` and undefined not at all. */
function attributesOf(attributes: Readonly<Record<string, string | number | boolean | undefined>>): Html[] {
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
