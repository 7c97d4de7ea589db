import type { FuzzRequest } from './request-draft.ts'

/** More is not tried for one finding. */
const MAX_TRIES = 80

/**
 * The smallest body found by leaving out members and items for which `stillFails` holds; undefined where that is not
 * the whole body's doing.
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

/** All values that lack one member or item of this one, those that lack the most first. */
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
