import type { App } from '../../../app.ts'
import { parseContentUri } from '../../../core/content-uri.ts'
import { isUserId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { byteSizeText } from '../../../core/text/byte-size.ts'
import { type Html, html } from '../../../core/text/html.ts'
import {
  listMediaOfUser,
  listMediaUsage,
  type MediaRecord,
  type MediaUsage,
} from '../../../storage/media/local-media.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { actLinks, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import {
  badge,
  type Column,
  listForm,
  listLink,
  listQuery,
  numberText,
  ON_A_PAGE,
  orderFilter,
  orderQuery,
  pageLinks,
  parseOrder,
  searchField,
  table,
} from './list.ts'
import { MEDIA_PATH, mediaPagePath, userPath } from './paths.ts'

/**
 * Lists users by the size of their files. A search for an `mxc://` URI leads to the file, and one for a user to the
 * user's files.
 */
export const getMediaPage = adminPage({
  method: 'GET',
  path: MEDIA_PATH,
  section: 'media',
  query: listQuery.extend({ sort: orderQuery(['user_id', 'media_count', 'media_length'], '-media_length') }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { media: words, sections } = texts.admin
    const file = parseContentUri(query.q)
    if (file) return redirectTo(mediaPagePath(file))
    if (isUserId(query.q) && serverNameOf(query.q) === app.serverName) return redirectTo(filesPath(query.q))
    const { column: orderBy, isDescending } = parseOrder(query.sort)
    const { users, total } = await listMediaUsage(app.database, {
      ...{ from: query.from, limit: ON_A_PAGE, orderBy, isDescending },
      ...{ since: 0, until: Number.MAX_SAFE_INTEGER, term: query.q },
    })
    const columns = usageColumns(visit)
    const link = listLink(MEDIA_PATH, query)
    const form = {
      fields: [searchField(visit, query.q, words.search)],
      filters: [orderFilter(visit, { value: query.sort, columns })],
    }
    const body = html`${doneNotice(visit, query.done)}
${actLinks(visit, [
  { act: 'deleteUploads', path: `${MEDIA_PATH}/delete-uploads`, isDangerous: true },
  { act: 'deleteCopies', path: `${MEDIA_PATH}/delete-copies`, isDangerous: true },
])}
${listForm(visit, { path: MEDIA_PATH, ...form })}
${table(visit, { label: sections.media, columns, rows: users, order: query.sort, link })}
${pageLinks(visit, { from: query.from, count: users.length, total, link })}`
    return { title: sections.media, body }
  },
})

/** Returns the page of the files that a user uploaded. */
export function filesPath(userId: string): string {
  return userPath(userId, '/media')
}

function usageColumns(visit: AdminVisit): Column<MediaUsage>[] {
  const { media: words, users } = visit.texts.admin
  return [
    {
      title: users.id,
      order: 'user_id',
      cell: ({ user_id }) => html`<a href="${filesPath(user_id)}" class="id">${user_id}</a>`,
    },
    { title: users.name, cell: ({ displayname }) => html`<bdi class="text">${displayname ?? ''}</bdi>` },
    {
      ...{ title: words.files, order: 'media_count', isNumber: true },
      cell: ({ media_count }) => numberText(visit, media_count),
    },
    {
      ...{ title: words.size, order: 'media_length', isNumber: true },
      cell: ({ media_length }) => byteSizeText(media_length),
    },
  ]
}

/** Renders the files of a user, the newest first unless another order is asked for. */
export async function listOfFiles(
  app: App,
  visit: AdminVisit,
  { userId, sort, from }: { userId: UserId; sort: FileOrder | `-${FileOrder}`; from: number },
): Promise<Html> {
  const { column: orderBy, isDescending } = parseOrder(sort)
  const page = { from, limit: ON_A_PAGE, orderBy, isDescending }
  const { media, total } = await listMediaOfUser(app.database, userId, page)
  const columns = fileColumns(visit)
  const path = filesPath(userId)
  const link = listLink(path, { sort, from })
  return html`${listForm(visit, { path, filters: [orderFilter(visit, { value: sort, columns })] })}
${table(visit, { label: visit.texts.admin.sections.media, columns, rows: media, order: sort, link })}
${pageLinks(visit, { from, count: media.length, total, link })}`
}

export const FILE_ORDERS = ['created_ts', 'last_access_ts', 'media_length', 'media_type', 'upload_name'] as const
type FileOrder = (typeof FILE_ORDERS)[number]

function fileColumns(visit: AdminVisit): Column<MediaRecord>[] {
  const { media: words } = visit.texts.admin
  return [
    {
      ...{ title: words.name, order: 'upload_name' },
      cell: ({ server_name: serverName, media_id: mediaId, filename }) =>
        html`<a href="${mediaPagePath({ serverName, mediaId })}"><bdi class="text">${filename ?? mediaId}</bdi></a>`,
    },
    { title: words.type, order: 'media_type', cell: ({ content_type }) => content_type },
    {
      ...{ title: words.size, order: 'media_length', isNumber: true },
      cell: ({ size }) => (size === null ? '' : byteSizeText(size)),
    },
    { title: words.state, cell: (media) => html`${mediaBadges(visit.texts, media)}` },
    { title: words.uploaded, order: 'created_ts', cell: ({ created_ts }) => moment(visit, created_ts) },
    {
      ...{ title: words.used, order: 'last_access_ts' },
      cell: ({ accessed_ts: at }) => (at === null ? visit.texts.admin.users.never : moment(visit, at)),
    },
  ]
}

/** Renders whether a file is quarantined or protected. */
export function mediaBadges({ admin: { media: words } }: Texts, media: MediaRecord): Html[] {
  return [
    ...(media.quarantined_by === null ? [] : [badge(words.quarantined, 'bad')]),
    ...(media.is_protected ? [badge(words.protected, 'good')] : []),
  ]
}
