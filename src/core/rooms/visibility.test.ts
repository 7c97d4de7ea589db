import { describe, expect, it } from 'vitest'
import type { Membership } from './membership.ts'
import { historyVisibilityOf, isEventVisible, isEventVisibleToServer, type UserAtEvent } from './visibility.ts'

const visibilities = ['world_readable', 'shared', 'invited', 'joined'] as const
const memberships = ['join', 'invite', 'leave', 'ban', 'knock', undefined] as const

/**
 * Rows: membership at the event; columns: world_readable, shared, invited, joined; first for a user who did not join
 * later, then for one who did.
 */
const expected: Record<string, [string, string]> = {
  join: ['yyyy', 'yyyy'],
  invite: ['y-y-', 'yyy-'],
  leave: ['y---', 'yy--'],
  ban: ['y---', 'yy--'],
  knock: ['y---', 'yy--'],
  undefined: ['y---', 'yy--'],
}
const sees = (visibility: (typeof visibilities)[number], membership: Membership | undefined, joinedLater: boolean) =>
  expected[String(membership)]?.[joinedLater ? 1 : 0][visibilities.indexOf(visibility)] === 'y'

const cases = visibilities.flatMap((visibility) =>
  memberships.flatMap((membership) => [false, true].map((joinedLater) => ({ visibility, membership, joinedLater }))),
)

describe('isEventVisible', () => {
  it.each(cases)('$visibility, $membership, joined later: $joinedLater', ({ visibility, membership, joinedLater }) => {
    expect(isEventVisible({ visibility }, { membership, joinedLater })).toBe(sees(visibility, membership, joinedLater))
  })

  it.each(cases)(
    'changing history visibility from $visibility ($membership, $joinedLater): before or after',
    (given) => {
      for (const visibilityAfter of visibilities) {
        const visible = isEventVisible({ visibility: given.visibility, visibilityAfter }, given)
        const { membership, joinedLater } = given
        const allowed =
          sees(given.visibility, membership, joinedLater) || sees(visibilityAfter, membership, joinedLater)
        expect(visible, visibilityAfter).toBe(allowed)
      }
    },
  )

  it.each(cases)('own membership, from $membership ($visibility, $joinedLater): before or after', (given) => {
    for (const membershipAfter of memberships) {
      const visible = isEventVisible(given, { ...given, membershipAfter })
      const { visibility, joinedLater } = given
      const allowed = sees(visibility, given.membership, joinedLater) || sees(visibility, membershipAfter, joinedLater)
      expect(visible, membershipAfter).toBe(
        membershipAfter === undefined ? sees(visibility, given.membership, joinedLater) : allowed,
      )
    }
  })

  it('shows everyone a change from or to world_readable', () => {
    const stranger: UserAtEvent = { membership: undefined, joinedLater: false }
    expect(isEventVisible({ visibility: 'world_readable', visibilityAfter: 'joined' }, stranger)).toBe(true)
    expect(isEventVisible({ visibility: 'joined', visibilityAfter: 'world_readable' }, stranger)).toBe(true)
  })

  it('shows members their own joining and leaving, whatever the visibility', () => {
    const visibility = 'joined'
    expect(isEventVisible({ visibility }, { membership: undefined, membershipAfter: 'join', joinedLater: false })).toBe(
      true,
    )
    expect(isEventVisible({ visibility }, { membership: 'join', membershipAfter: 'ban', joinedLater: false })).toBe(
      true,
    )
  })
})

describe('isEventVisibleToServer', () => {
  it.each(cases)('one user, $visibility, $membership, $joinedLater: as for the user', (given) => {
    expect(isEventVisibleToServer(given, [given])).toBe(sees(given.visibility, given.membership, given.joinedLater))
  })

  it.each([
    ['world_readable', true],
    ['shared', false],
    ['invited', false],
    ['joined', false],
  ] as const)('no users, %s: %j', (visibility, visible) => {
    expect(isEventVisibleToServer({ visibility }, [])).toBe(visible)
    expect(isEventVisibleToServer({ visibility: 'joined', visibilityAfter: visibility }, [])).toBe(visible)
  })

  it('is enough that one of many may', () => {
    const left: UserAtEvent = { membership: 'leave', joinedLater: false }
    expect(isEventVisibleToServer({ visibility: 'joined' }, [left, left])).toBe(false)
    expect(isEventVisibleToServer({ visibility: 'joined' }, [left, { membership: 'join', joinedLater: false }])).toBe(
      true,
    )
  })
})

describe('historyVisibilityOf', () => {
  it.each([
    [undefined, 'shared'],
    [{}, 'shared'],
    [{ history_visibility: 'secret' }, 'shared'],
    [{ history_visibility: 1 }, 'shared'],
    [{ history_visibility: 'shared' }, 'shared'],
    [{ history_visibility: 'world_readable' }, 'world_readable'],
    [{ history_visibility: 'invited' }, 'invited'],
    [{ history_visibility: 'joined' }, 'joined'],
  ])('%j is %s', (content, visibility) => {
    expect(historyVisibilityOf(content)).toBe(visibility)
  })
})
