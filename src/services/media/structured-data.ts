/** The values of a page in JSON-LD. */
export type StructuredData = { title?: string; description?: string; image?: string }

const MAX_DEPTH = 6
const MAX_OBJECTS = 200
/** Types that describe the site, not the page. */
const OF_SITE = /^(BreadcrumbList|Organization|NewsMediaOrganization|WebSite|Person|SearchAction|ImageObject|ListItem)$/

/** Returns what the first object that describes a page says. Texts that are no JSON are skipped. */
export function readStructuredData(texts: readonly string[]): StructuredData {
  const objects = texts.flatMap((text) => objectsIn(parse(text), MAX_DEPTH)).slice(0, MAX_OBJECTS)
  for (const object of objects) {
    const types = [object['@type']].flat()
    if (types.length === 0 || types.some((type) => typeof type !== 'string' || OF_SITE.test(type))) continue
    const title = textOf(object.headline) ?? textOf(object.name)
    if (title === undefined) continue
    const description = textOf(object.description)
    const image = addressOf(object.image) ?? addressOf(object.thumbnailUrl)
    return { title, ...(description !== undefined && { description }), ...(image !== undefined && { image }) }
  }
  return {}
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The objects of a document: alone, in lists, or in a graph. */
function objectsIn(value: unknown, depth: number): Record<string, unknown>[] {
  if (depth === 0 || typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.slice(0, MAX_OBJECTS).flatMap((each) => objectsIn(each, depth - 1))
  const object = value as Record<string, unknown>
  return [object, ...objectsIn(object['@graph'], depth - 1), ...objectsIn(object.mainEntity, depth - 1)]
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined
}

/** An image is an address, an object with one, or a list of these. */
function addressOf(value: unknown): string | undefined {
  const first = Array.isArray(value) ? value[0] : value
  if (typeof first !== 'object' || first === null) return textOf(first)
  return textOf((first as Record<string, unknown>).url) ?? textOf((first as Record<string, unknown>).contentUrl)
}
