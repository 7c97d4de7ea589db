import type { FuzzRequest } from './request-draft.ts'

/** Maximum attempts per finding. */
const MAX_TRIES = 80

/**
 * Returns the smallest body found by removing keys and items while `stillFails` holds; undefined if the whole body does
 * not reproduce the failure.
 */
export async function shrinkBody(
  request: FuzzRequest,
  stillFails: (body: string) => Promise<boolean>,
): Promise<string | undefined> {
  if (typeof request.body !== 'string') return undefined
  let current: unknown
  try {
    current = JSON.parse(request.body)
  } catch {
    return undefined
  }
  if (!(await stillFails(request.body))) return undefined
  let tries = 0
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false
    for (const smaller of withoutOnePart(current)) {
      if (++tries > MAX_TRIES) return JSON.stringify(current)
      if (!(await stillFails(JSON.stringify(smaller)))) continue
      current = smaller
      isSmaller = true
      break
    }
  }
  return JSON.stringify(current)
}

/** Yields all values that lack one key or item of this one, largest removals first. */
function* withoutOnePart(value: unknown): Generator<unknown> {
  if (typeof value === 'string' && value.length > 100) yield value.slice(0, value.length / 2)
  if (typeof value !== 'object' || value === null) return
  const keys = Object.keys(value)
  for (const key of keys) {
    if (Array.isArray(value)) yield value.toSpliced(Number(key), 1)
    else yield Object.fromEntries(Object.entries(value).filter(([each]) => each !== key))
  }
  for (const key of keys) {
    for (const inner of withoutOnePart((value as Record<string, unknown>)[key])) {
      if (Array.isArray(value)) yield value.with(Number(key), inner)
      else yield Object.fromEntries(Object.entries(value).map(([each, old]) => [each, each === key ? inner : old]))
    }
  }
}
