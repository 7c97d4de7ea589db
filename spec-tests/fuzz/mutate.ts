import type { Draw } from './draw.ts'
import { hostileJson, hostileText, spoil } from './hostile-json.ts'
import { isReference, KINDS, referTo } from './references.ts'

type Parent = Record<string, unknown> | unknown[]
/** A value within another. */
type Spot = { parent: Parent; key: string }

/** Maximum number of spots. */
const MAX_SPOTS = 400
const LONG_LIST = 1200
const LONG_TEXT = 100_000

/** The ways to change a value. */
const WAYS: Record<string, { weight: number; change(draw: Draw, spot: Spot, spots: readonly Spot[]): void }> = {
  'a hostile value': { weight: 10, change: (draw, spot) => put(spot, draw.value(hostileJson)) },
  'a value of another type': { weight: 6, change: (draw, spot) => put(spot, ofAnotherType(draw, get(spot))) },
  'another reference': { weight: 5, change: (draw, spot) => put(spot, referTo(draw.pick(KINDS))) },
  spoilt: { weight: 10, change: (draw, spot) => put(spot, spoilAt(draw, get(spot))) },
  removed: { weight: 5, change: (_, spot) => remove(spot) },
  'another member': {
    weight: 4,
    change(draw, spot) {
      const inner = get(spot)
      const parent = isParent(inner) ? inner : spot.parent
      put({ parent, key: draw.value(hostileText) }, draw.value(hostileJson))
    },
  },
  'another key': {
    weight: 2,
    change(draw, spot) {
      const inner = get(spot)
      if (!Array.isArray(spot.parent)) remove(spot)
      put({ ...spot, key: draw.value(hostileText) }, inner)
    },
  },
  'put into a list': { weight: 1, change: (_, spot) => put(spot, [get(spot)]) },
  'put into itself': { weight: 1, change: (_, spot) => put(spot, { [spot.key]: get(spot) }) },
  twice: { weight: 2, change: (_, spot) => put(spot, [get(spot), get(spot)].flat()) },
  'a long list': {
    weight: 1,
    change(_, spot) {
      const item = [get(spot)].flat()[0]
      put(
        spot,
        Array.from({ length: isParent(item) ? 100 : LONG_LIST }, () => item),
      )
    },
  },
  'that of another member': {
    weight: 2,
    change: (draw, spot, spots) => put(spot, structuredClone(get(draw.pick(spots)))),
  },
  'a long text': {
    weight: 1,
    change: (_, spot) => put(spot, textOf(get(spot)).slice(0, 1000).padEnd(LONG_TEXT, 'x')),
  },
}
const WEIGHTS = Object.fromEntries(Object.entries(WAYS).map(([way, { weight }]) => [way, weight]))

/** Returns a copy of a JSON value with one change. */
export function mutate(draw: Draw, value: unknown): unknown {
  const root = { value: structuredClone(value) }
  const spots = spotsIn(root)
  // Most spots are deep inside; those near the surface have more effect.
  const spot = draw.pick(draw.happens(0.5) ? spots : spots.slice(0, 8))
  WAYS[draw.weighted(WEIGHTS)]!.change(draw, spot, spots)
  return root.value
}

/** Appended to references, so that they stay references. */
function spoilAt(draw: Draw, value: unknown): unknown {
  if (typeof value !== 'string') return draw.value(hostileText)
  return isReference(value) ? value + spoil(draw, '') : spoil(draw, value)
}

function ofAnotherType(draw: Draw, current: unknown): unknown {
  const values: unknown[] = ['text', 5, 1.5, true, null, [], {}, [current], textOf(current)]
  return draw.pick(values.filter((value) => typeof value !== typeof current || value === null))
}

/** `String` fails for objects with their own `toString`. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

function spotsIn(root: Parent): Spot[] {
  const spots: Spot[] = []
  const pending: Parent[] = [root]
  for (let at = 0; at < pending.length && spots.length < MAX_SPOTS; at++) {
    const parent = pending[at]!
    for (const key of Object.keys(parent)) {
      const spot = { parent, key }
      spots.push(spot)
      const inner = get(spot)
      if (isParent(inner)) pending.push(inner)
    }
  }
  return spots
}

function isParent(value: unknown): value is Parent {
  return typeof value === 'object' && value !== null
}

function get({ parent, key }: Spot): unknown {
  return (parent as Record<string, unknown>)[key]
}

/** Also if the key is `__proto__`. */
function put({ parent, key }: Spot, value: unknown): void {
  if (Array.isArray(parent) && !/^\d{1,4}$/.test(key)) return void parent.push(value)
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true })
}

function remove({ parent, key }: Spot): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
}
