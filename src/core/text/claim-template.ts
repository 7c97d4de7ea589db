/** The data of an identity provider about a person: claims of OpenID Connect, or attributes of CAS. */
export type Claims = Readonly<Record<string, unknown>>

const PLACEHOLDER = /\{([^{}|]+)(?:\|([a-z]+))?\}/g
const FILTERS: Readonly<Record<string, (value: string) => string>> = {
  // The part of an e-mail address before the @.
  localpart: (value) => value.replace(/@[^@]*$/, ''),
  lower: (value) => value.toLowerCase(),
}
/** Claims may be of any length. */
const MAX_LENGTH = 1024

/** Returns whether a text is a template: it has a placeholder, every brace belongs to one, and its filters exist. */
export function isClaimTemplate(template: string): boolean {
  const rest = template.replace(PLACEHOLDER, (whole, _claim, filter?: string) =>
    filter === undefined || Object.hasOwn(FILTERS, filter) ? '' : whole,
  )
  return rest !== template && !/[{}]/.test(rest)
}

/**
 * Fills in a template such as `{preferred_username}` or `{email|localpart}`. A dot leads into an object, as in
 * `{address.country}`, unless a claim has that name. Undefined if a claim is missing or empty, or no text or number; of
 * a list, the first element counts.
 */
export function fillTemplate(template: string, claims: Claims): string | undefined {
  let isComplete = true
  const text = template.replace(PLACEHOLDER, (_, path: string, filter?: string) => {
    const value = textOf(valueAt(claims, path))
    if (value === undefined) isComplete = false
    return filter === undefined ? (value ?? '') : FILTERS[filter]!(value ?? '')
  })
  const trimmed = text.trim()
  return isComplete && trimmed !== '' && trimmed.length <= MAX_LENGTH ? trimmed : undefined
}

function valueAt(claims: unknown, path: string): unknown {
  if (typeof claims !== 'object' || claims === null) return undefined
  if (Object.hasOwn(claims, path)) return (claims as Claims)[path]
  const dot = path.indexOf('.')
  if (dot < 0 || !Object.hasOwn(claims, path.slice(0, dot))) return undefined
  return valueAt((claims as Claims)[path.slice(0, dot)], path.slice(dot + 1))
}

function textOf(value: unknown): string | undefined {
  const first = Array.isArray(value) ? value[0] : value
  if (typeof first === 'number') return String(first)
  return typeof first === 'string' && first.trim() !== '' ? first : undefined
}
