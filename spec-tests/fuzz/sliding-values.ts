import type { Draw } from './draw.ts'
import { referTo } from './references.ts'

const PAIRS = [
  ['m.room.create', ''],
  ['m.room.member', '$LAZY'],
  ['m.room.member', '$ME'],
  ['*', '*'],
  ['m.room.name', ''],
  ['m.space.child', '*'],
]

/** Draws the body of a sliding sync request in one of its two forms, with references. */
export function drawSlidingBody(draw: Draw, form: 'stable' | 'unstable'): Record<string, unknown> {
  const listed = Array.from({ length: draw.below(3) }, (_, i) => [`list${i}`, list(draw, form)])
  const subscribed = Array.from({ length: draw.below(3) }, () => [referTo('room'), config(draw, form)])
  return {
    conn_id: draw.pick(['main', 'other']),
    ...(form === 'stable' && { timeout: 0, ...(draw.happens(0.6) && { pos: referTo('pos') }) }),
    ...(listed.length > 0 && { lists: Object.fromEntries(listed) }),
    ...(subscribed.length > 0 && { room_subscriptions: Object.fromEntries(subscribed) }),
    ...(draw.happens(0.7) && { extensions: extensions(draw) }),
  }
}

function list(draw: Draw, form: 'stable' | 'unstable'): object {
  const range = [draw.below(3), 3 + draw.below(20)]
  const filters = {
    ...(draw.happens(0.3) && { is_dm: draw.happens(0.5) }),
    ...(draw.happens(0.3) && { is_encrypted: draw.happens(0.5) }),
    ...(draw.happens(0.2) && { room_types: [null, 'm.space'] }),
    ...(draw.happens(0.2) && { tags: [referTo('tag')] }),
    ...(draw.happens(0.2) && { spaces: [referTo('room')] }),
    ...(draw.happens(0.2) && { room_name_like: 'te' }),
  }
  return {
    ...config(draw, form),
    ...(form === 'stable' ? { range } : { ranges: [range] }),
    ...(draw.happens(0.4) && { filters }),
  }
}

function config(draw: Draw, form: 'stable' | 'unstable'): object {
  const wanted = PAIRS.filter(() => draw.happens(0.4))
  const include = wanted.filter(([, key]) => key !== '$LAZY').map(([type, state_key]) => ({ type, state_key }))
  const required_state = form === 'stable' ? { include, lazy_members: draw.happens(0.5) } : wanted
  return { timeline_limit: draw.below(6), required_state }
}

function extensions(draw: Draw): object {
  const enabled = draw.happens(0.9)
  const some = {
    to_device: { enabled, limit: 1 + draw.below(50), ...(draw.happens(0.5) && { since: referTo('to-device token') }) },
    e2ee: { enabled },
    account_data: { enabled },
    receipts: { enabled, lists: ['*'], rooms: [referTo('room')] },
    typing: { enabled, rooms: ['*'] },
    'io.element.msc4308.thread_subscriptions': { enabled, limit: 10 },
  }
  return Object.fromEntries(Object.entries(some).filter(() => draw.happens(0.5)))
}
