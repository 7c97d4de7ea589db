import { expect, test } from 'vitest'
import { lifetimeIn, lifetimeOf } from './retention.ts'

const nothing = { max_lifetime: null, min_lifetime: null }
const bounds = { min_lifetime: 10, max_lifetime: 1000 }

test.each([
  ['for ever, if nobody says otherwise', nothing, { min_lifetime: 10 }, undefined],
  ['as the server says', nothing, { ...bounds, default_lifetime: 100 }, 100],
  ['at most as the server allows, also without a default', nothing, bounds, 1000],
  ['as the room says', { max_lifetime: 50, min_lifetime: null }, { ...bounds, default_lifetime: 100 }, 50],
  ['not shorter than the server allows', { max_lifetime: 1, min_lifetime: null }, bounds, 10],
  ['not longer than the server allows', { max_lifetime: 5000, min_lifetime: null }, bounds, 1000],
  ['at least as the room says', { max_lifetime: null, min_lifetime: 200 }, { ...bounds, default_lifetime: 100 }, 200],
  ['as the server says in a room that contradicts itself', { max_lifetime: 1, min_lifetime: 2 }, bounds, 1000],
])('messages are kept %s', (_, room, rules, lifetime) => {
  expect(lifetimeOf(room, rules)).toBe(lifetime)
})

test.each([-1, 1.5, '1', null, undefined, Number.MAX_SAFE_INTEGER + 1])('%s is no lifetime', (value) => {
  expect(lifetimeIn({ max_lifetime: value as never }, 'max_lifetime')).toBeUndefined()
})
