import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import {
  countUsers,
  EVERYBODY,
  type ListedUser,
  listUsers,
  type UserFilter,
} from '../../../storage/users/user-lists.ts'
import { moment } from '../moment.ts'
import type { Texts } from '../texts/en.ts'
import { actLinks, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import {
  badge,
  type Column,
  listForm,
  listLink,
  listQuery,
  ON_A_PAGE,
  orderFilter,
  orderQuery,
  pageLinks,
  parseOrder,
  searchField,
  table,
} from './list.ts'
import { CREATE_USER_PATH, USERS_PATH, userPath } from './paths.ts'

/** Groups of users that the list can be limited to. */
const GROUPS = {
  active: { deactivated: false },
  all: {},
  admins: { admins: true, deactivated: false },
  locked: { locked: true },
  suspended: { suspended: true },
  shadowBanned: { shadowBanned: true },
  deactivated: { deactivated: true },
  guests: { guests: true },
} satisfies Record<string, Partial<UserFilter>>

const names = Object.keys(GROUPS) as (keyof typeof GROUPS)[]

export const getUsersPage = adminPage({
  method: 'GET',
  path: USERS_PATH,
  section: 'users',
  query: listQuery.extend({
    group: z.enum(names).catch('active'),
    sort: orderQuery(['name', 'displayname', 'creation_ts', 'last_seen_ts'], 'name'),
  }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { users: words, sections } = texts.admin
    const filter = { ...EVERYBODY, ...GROUPS[query.group], namePart: query.q === '' ? null : query.q.toLowerCase() }
    const { column: order, isDescending } = parseOrder(query.sort)
    const [users, total] = await Promise.all([
      listUsers(app.database, filter, { order, isDescending, from: query.from, limit: ON_A_PAGE }),
      countUsers(app.database, filter),
    ])
    const columns = columnsOf(visit)
    const link = listLink(USERS_PATH, query)
    const filters = [
      {
        ...{ name: 'group', label: words.group, value: query.group },
        options: names.map((name) => ({ value: name, text: words.groups[name] })),
      },
      orderFilter(visit, { value: query.sort, columns }),
    ]
    const body = html`${doneNotice(visit, query.done)}
${actLinks(visit, [{ act: 'createUser', path: CREATE_USER_PATH }])}
${listForm(visit, { path: USERS_PATH, fields: [searchField(visit, query.q, words.search)], filters })}
${table(visit, { label: sections.users, columns, rows: users, order: query.sort, link })}
${pageLinks(visit, { from: query.from, count: users.length, total, link })}`
    return { title: sections.users, body }
  },
})

function columnsOf(visit: AdminVisit): Column<ListedUser>[] {
  const { users: words } = visit.texts.admin
  return [
    {
      title: words.id,
      order: 'name',
      cell: ({ user_id }) => html`<a href="${userPath(user_id)}" class="id">${user_id}</a>`,
    },
    {
      title: words.name,
      order: 'displayname',
      cell: ({ displayname }) => html`<bdi class="text">${displayname ?? ''}</bdi>`,
    },
    { title: words.state, cell: (user) => html`${userBadges(visit.texts, user)}` },
    { title: words.created, order: 'creation_ts', cell: ({ created_ts }) => moment(visit, created_ts) },
    {
      title: words.seen,
      order: 'last_seen_ts',
      cell: ({ last_seen_ts: at }) => (at === null ? words.never : moment(visit, at)),
    },
  ]
}

type Standing = Pick<
  ListedUser,
  'is_admin' | 'is_guest' | 'deactivated' | 'locked' | 'suspended' | 'shadow_banned' | 'erased' | 'user_type'
>

/** Renders what is special about a user. */
export function userBadges({ admin: { users } }: Texts, user: Standing) {
  const { states } = users
  return [
    ...(user.is_admin ? [badge(states.admin, 'good')] : []),
    ...(user.is_guest ? [badge(states.guest)] : []),
    ...(user.user_type === null ? [] : [badge(user.user_type)]),
    ...(user.locked ? [badge(states.locked, 'bad')] : []),
    ...(user.shadow_banned ? [badge(states.shadowBanned, 'bad')] : []),
    ...(user.suspended ? [badge(states.suspended, 'bad')] : []),
    ...(user.deactivated && !user.erased ? [badge(states.deactivated, 'bad')] : []),
    ...(user.erased ? [badge(states.erased, 'bad')] : []),
  ]
}
